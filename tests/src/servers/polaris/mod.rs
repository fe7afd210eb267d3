//! A Polaris server with a store of its own, and a client that arranges
//! things in it.

mod admin;
mod answer;
mod instance;

use std::fs;
use std::path::Path;

pub use admin::Admin;
pub use answer::Answer;
pub use instance::Instance;

use super::binaries::Binaries;
use super::daemon::Daemon;
use super::directory::Directory;
use super::ports::free_port;
use super::process::Program;
use super::ready;
use crate::http_client::http_client;

/// The token of the user that every store starts with.
const TOKEN: &str = "nu/0WRA4EqSR1FagrjRj0fZwPXuGlMpX+zCuWu4uMqy8xr1vRjisSbA25aAC3mtU8MeeRsKhQiDAynUR09I=";

/// The settings that can differ from test to test.
#[derive(Clone, Copy, Debug, Default)]
pub struct PolarisOptions {
    /// Whether clients need a token ([`Polaris::token`]).
    pub client_auth: bool,
    /// Whether it imitates a Nacos server, see [`Polaris::nacos_address`].
    pub nacos: bool,
}

/// A running Polaris server.
pub struct Polaris {
    // Dropped in this order: the process before its files.
    daemon: Daemon,
    directory: Directory,
    http_port: u16,
    grpc_port: u16,
    nacos_port: u16,
}

impl Polaris {
    /// Starts one with an empty store.
    pub async fn start(binaries: &'static Binaries, options: PolarisOptions) -> Self {
        ready::start("polaris-server", || Self::try_start(binaries, options)).await
    }

    async fn try_start(binaries: &Binaries, options: PolarisOptions) -> Result<Self, String> {
        let directory = Directory::new("polaris");
        let (http_port, grpc_port, nacos_port) = (free_port(), free_port(), free_port());
        copy(&binaries.polaris_conf, &directory.path().join("conf"));
        let config = include_str!("server.yaml")
            .replace("@HTTP_PORT@", &http_port.to_string())
            .replace("@GRPC_PORT@", &grpc_port.to_string())
            .replace("@NACOS@", &if options.nacos { nacos(nacos_port) } else { String::new() })
            .replace("@CLIENT_AUTH@", &options.client_auth.to_string());
        directory.write("conf/polaris-server.yaml", config);
        let program =
            Program::new(&binaries.polaris, directory.path()).args(["start", "-c", "conf/polaris-server.yaml"]);
        let mut server = Self { daemon: Daemon::new(program), directory, http_port, grpc_port, nacos_port };
        server.try_start_again().await?;
        Ok(server)
    }

    async fn try_start_again(&mut self) -> Result<(), String> {
        let url = format!("http://{}/", self.http_address());
        let probe = || async {
            let text = async { http_client().get(&url).send().await?.text().await };
            match text.await.map_err(|error| error.to_string())? {
                text if text.contains("Polaris Server") => Ok(()),
                other => Err(other),
            }
        };
        self.daemon.start(probe).await
    }

    /// Stops it as an operator would, which takes it six seconds; it refuses
    /// connections at once.
    pub async fn stop(&mut self) {
        self.daemon.stop().await;
    }

    /// Kills it as a crash would; what it has acknowledged is kept.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Freezes it: connections stay, and nothing is answered.
    pub fn freeze(&self) {
        self.daemon.signal("STOP");
    }

    /// Lets it go on after [`Self::freeze`].
    pub fn thaw(&self) {
        self.daemon.signal("CONT");
    }

    /// Its process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.daemon.id()
    }

    /// Starts it again on the same ports and with the same data, after
    /// [`Self::stop`] or [`Self::kill`], and returns when it answers.
    pub async fn start_again(&mut self) {
        if let Err(reason) = self.try_start_again().await {
            panic!("polaris-server did not start again: {reason}");
        }
    }

    /// Starts it again on the same ports with an empty store, as if it had
    /// been restored from nothing.
    pub async fn start_again_empty(&mut self) {
        self.kill();
        fs::remove_file(self.directory.path().join("polaris.bolt")).expect("it has a store");
        fs::remove_dir_all(self.directory.path().join("data")).expect("it has a cache");
        self.start_again().await;
    }

    /// Host and port of the HTTP API, the one that `--polarisAddress` names.
    pub fn http_address(&self) -> String {
        format!("127.0.0.1:{}", self.http_port)
    }

    /// Host and port of the gRPC API.
    pub fn grpc_address(&self) -> String {
        format!("127.0.0.1:{}", self.grpc_port)
    }

    /// Host and port of its imitation of Nacos 2's gRPC, if it has one: a thousand above that of Nacos's HTTP.
    pub fn nacos_address(&self) -> String {
        format!("127.0.0.1:{}", self.nacos_port + 1_000)
    }

    /// A token that may do everything.
    pub fn token(&self) -> &'static str {
        TOKEN
    }

    /// A client that may do everything. It belongs to the runtime of the test
    /// that asks, so a new one is made for each.
    pub fn admin(&self) -> Admin {
        Admin::new(&self.http_address(), TOKEN)
    }

    /// All that the server has logged so far.
    pub fn log(&self) -> String {
        self.daemon.log()
    }
}

/// Copies a directory with all in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("the directory is new");
    for entry in fs::read_dir(from).expect("the build made it readable").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("the directory is new");
        }
    }
}

/// The lines of the configuration for it.
fn nacos(port: u16) -> String {
    format!(
        "  - name: service-nacos\n    option: {{ listenIP: 127.0.0.1, listenPort: {port}, defaultNamespace: default }}\n"
    )
}
