//! Secrets go where they are for and nowhere else: not into the log at its most talkative, not into an error, not into
//! `--help`, and not into a dump of memory.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use polaris2istio_tests::servers::{self, Directory, Polaris, PolarisOptions};

use super::controller::binary;
use super::proxy::Tunnels;
use super::world::World;

/// The secrets that no output may hold.
struct Planted(Vec<String>);

impl Planted {
    #[track_caller]
    fn check(&self, what: &str, output: &str) {
        for (number, secret) in self.0.iter().enumerate() {
            assert!(!output.contains(secret.as_str()), "{what}: secret {number} is in {output}");
        }
    }
}

fn run(args: &[&str], environment: &[(&str, &str)]) -> String {
    let output: Output = Command::new(binary()).args(args).envs(environment.iter().copied()).output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn secrets_are_not_logged() {
    let (Some(servers), Some(binaries)) = (servers::shared().await, servers::binaries()) else { return };
    let polaris = Polaris::start(binaries, PolarisOptions { client_auth: true, ..PolarisOptions::default() }).await;
    let world = World::new(&servers.api, &polaris, "secrets").await;
    let directory = Directory::new("secrets");
    let file = directory.write("token", polaris.token());
    let kubeconfig = std::fs::read_to_string(&world.release.kubeconfig).unwrap();
    let kubeconfig: serde_json::Value = serde_json::from_str(&kubeconfig).unwrap();
    let account = kubeconfig["users"][0]["user"]["token"].as_str().unwrap().to_owned();
    let planted = Planted(vec![polaris.token().to_owned(), account, "pl4nted".to_owned()]);
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    let mut controller =
        world.controller().flag("polaris-token-file", file.to_str().unwrap()).flag("log", "trace").start();
    world.endpoints("cart", &["10.0.0.1"]).await;
    // The server changes its mind, as far as we can tell, and the file is read again.
    directory.write("token", "pl4nted");
    assert!(controller.stop().await.success());
    let log = controller.process.log();
    assert!(log.contains("\"TRACE\"") && log.contains(&polaris.http_address()), "it is talkative: {log}");
    planted.check("trace", &log);
    let denied = world.controller().env("POLARIS2ISTIO_POLARIS_TOKEN", "pl4nted").flag("log", "trace").start();
    denied.says(&["WARN", "denied access"]).await;
    planted.check("denied", &denied.process.log());
}

/// A trial: its name, arguments, environment, and expected words.
type Case = (&'static str, &'static [&'static str], &'static [(&'static str, &'static str)], &'static str);

#[test]
fn secrets_are_not_repeated() {
    let planted = Planted(vec!["pl4nted".to_owned()]);
    const TOKEN: (&str, &str) = ("POLARIS2ISTIO_POLARIS_TOKEN", "pl4nted");
    const POLARIS: (&str, &str) = ("POLARIS2ISTIO_POLARIS_ADDRESS", "127.0.0.1:1");
    const UNFIT: (&str, &str) = ("POLARIS2ISTIO_POLARIS_TOKEN", "pl4nted\u{7}");
    const PASSWORD: (&str, &str) = ("POLARIS2ISTIO_POLARIS_ADDRESS", "polaris:pl4nted@127.0.0.1:8090");
    const MODULE: (&str, &str) = ("POLARIS2ISTIO_MODULE", "oci://u:pl4nted@registry.example.com/x:y");
    const PARAMETER: (&str, &str) = ("POLARIS2ISTIO_MODULE_PARAM", "k=pl4nted");
    const NO_PAIR: (&str, &str) = ("POLARIS2ISTIO_MODULE_PARAM", "pl4nted");
    let cases: [Case; 14] = [
        ("--help", &["--help"], &[TOKEN, PASSWORD], "POLARIS2ISTIO_POLARIS_TOKEN"),
        ("-h", &["-h"], &[TOKEN, PASSWORD], "--polaris-token"),
        ("an unknown flag", &["--polaris-token", "pl4nted", "--no-such-flag"], &[], "no-such-flag"),
        ("two sources", &["--polaris-token=pl4nted", "--polaris-token-file=x"], &[POLARIS], "cannot be used with"),
        ("an unfit token", &["--answers="], &[UNFIT], "error"),
        ("a token that no header takes", &[], &[POLARIS, UNFIT], "no header can carry"),
        ("--help of all", &["--help"], &[MODULE, PARAMETER], "POLARIS2ISTIO_MODULE_PARAM"),
        ("--help of a verb", &["convert", "--help"], &[MODULE, PARAMETER], "POLARIS2ISTIO_MODULE_PARAM"),
        ("--help of a verb of a verb", &["module", "test", "--help"], &[PARAMETER], "POLARIS2ISTIO_MODULE_PARAM"),
        ("a password in a source", &["--module", MODULE.1], &[POLARIS], "it holds a user or password"),
        ("the same by the environment", &[], &[POLARIS, MODULE], "it holds a user or password"),
        ("the same of a verb", &["module", "inspect", MODULE.1], &[], "it holds a user or password"),
        ("a parameter that is no pair", &[], &[POLARIS, NO_PAIR], "give KEY=VALUE"),
        ("a password in the address", &[], &[TOKEN, PASSWORD], "it holds a user or password"),
    ];
    for (what, args, environment, words) in cases {
        let output = run(args, environment);
        assert!(output.contains(words), "{what}: no `{words}` in {output}");
        planted.check(what, &output);
    }
}

/// A kubeconfig whose cluster is behind a proxy.
fn behind(kubeconfig: &Path, proxy: &str, directory: &Directory) -> PathBuf {
    let text = std::fs::read_to_string(kubeconfig).unwrap();
    let mut kubeconfig: serde_json::Value = serde_json::from_str(&text).unwrap();
    kubeconfig["clusters"][0]["cluster"]["proxy-url"] = proxy.into();
    directory.write("kubeconfig", kubeconfig.to_string())
}

#[test]
fn a_proxy_that_cannot_be_used_is_named_without_its_password() {
    let (planted, directory) = (Planted(vec!["pl4nted".to_owned()]), Directory::new("proxy-url"));
    let cluster = directory.write(
        "cluster",
        r#"{"apiVersion":"v1","kind":"Config","current-context":"a","contexts":[{"name":"a","context":{"cluster":"a",
        "user":"a"}}],"clusters":[{"name":"a","cluster":{"server":"https://127.0.0.1:1"}}],"users":[{"name":"a","user":{}}]}"#,
    );
    for (proxy, words) in [
        ("socks5://u:pl4nted@127.0.0.1:1", "`proxy-url` may be one of http://"),
        ("ftp://u:pl4nted@127.0.0.1:1", "unsupported protocol"),
    ] {
        let kubeconfig = behind(&cluster, proxy, &directory);
        let environment =
            [("KUBECONFIG", kubeconfig.to_str().unwrap()), ("POLARIS2ISTIO_POLARIS_ADDRESS", "127.0.0.1:1")];
        let output = run(&["--leader-election=false", "--http-address=none"], &environment);
        assert!(output.contains(words), "{proxy}: no `{words}` in {output}");
        planted.check(proxy, &output);
    }
}

#[tokio::test]
async fn a_proxy_of_the_kubeconfig_is_used() {
    let Some((world, _)) = World::shared("kube-proxy").await else { return };
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    let (proxy, directory) = (Tunnels::start().await, Directory::new("kube-proxy"));
    let url = format!("http://user:pl4nted@{}", proxy.address);
    let kubeconfig = behind(&world.release.kubeconfig, &url, &directory);
    let controller = world.controller().kubeconfig(&kubeconfig).flag("log", "trace").start();
    world.endpoints("cart", &["10.0.0.1"]).await;
    let asked = proxy.asked();
    assert!(!asked.is_empty(), "nothing went through it");
    assert!(asked.iter().all(|head| head.to_lowercase().contains("proxy-authorization: basic")), "{asked:?}");
    Planted(vec!["pl4nted".to_owned(), "dXNlcjpwbDRudGVk".to_owned()]).check("trace", &controller.process.log());
}

#[test]
fn memory_is_not_dumped() {
    let directory = Directory::new("dump");
    let abort = |program: &str| {
        let script = format!("ulimit -c unlimited || exit 9; {program}");
        Command::new("sh").args(["-c", &script]).current_dir(directory.path()).output().unwrap().status
    };
    let dumped = abort("kill -ABRT $$");
    if !dumped.core_dumped() {
        return eprintln!("SKIPPED memory_is_not_dumped: this machine dumps no memory at all ({dumped})");
    }
    // It is told so by itself: the shell's kill comes when the log says that it runs.
    let binary = binary();
    std::fs::create_dir(directory.path().join("in")).unwrap();
    let program = format!(
        "exec 2>log; {} --answers in --entries in --output out & \
         while kill -0 $! && ! grep -q 'serving the ServiceEntries' log; do sleep 0.05; done; kill -ABRT $!; wait $!; exit $?",
        binary.display()
    );
    assert_eq!(abort(&program).code(), Some(128 + 6), "it was ended by SIGABRT");
    let files: Vec<_> = std::fs::read_dir(directory.path()).unwrap().flatten().map(|file| file.file_name()).collect();
    let cores = files.iter().filter(|name| name.to_string_lossy().starts_with("core")).count();
    assert_eq!(cores, 1, "only the shell's: {files:?}");
}

#[tokio::test]
async fn proxies_of_the_environment_are_not_used() {
    let Some((world, _)) = World::shared("proxies").await else { return };
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    let names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let start = names.into_iter().fold(world.controller(), |start, name| start.env(name, "http://127.0.0.1:1"));
    let _controller = start.start();
    world.endpoints("cart", &["10.0.0.1"]).await;
}
