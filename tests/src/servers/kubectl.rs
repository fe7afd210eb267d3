//! kubectl, for what operators do with it that no client library does the
//! same way: its client-side apply above all.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs it to its end on a thread that may block.
pub(super) async fn run(program: &Path, kubeconfig: &Path, args: &[&str], input: &str) -> String {
    let mut command = Command::new(program);
    command
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let what = format!("kubectl {}", args.join(" "));
    let input = input.to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("kubectl can be started");
        let mut pipe = child.stdin.take().expect("a pipe was asked for");
        // It may end without having read all, and then its own words say more.
        let _ = pipe.write_all(input.as_bytes());
        drop(pipe);
        child.wait_with_output().expect("a child can be waited for")
    })
    .await
    .expect("the closure does not panic");
    assert!(output.status.success(), "{what}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
