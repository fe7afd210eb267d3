//! etcd: where the API server keeps its data.

use super::binaries::Binaries;
use super::directory::Directory;
use super::ports::free_port;
use super::process::{Process, Program};
use super::ready;
use crate::http_client::http_client;

/// A running etcd with data of its own.
pub(super) struct Etcd {
    // Dropped in this order: the process before its files.
    process: Process,
    _directory: Directory,
    url: String,
}

impl Etcd {
    pub(super) async fn start(binaries: &Binaries) -> Self {
        ready::start("etcd", || Self::try_start(binaries)).await
    }

    async fn try_start(binaries: &Binaries) -> Result<Self, String> {
        let directory = Directory::new("etcd");
        let url = format!("http://127.0.0.1:{}", free_port());
        let peer = format!("http://127.0.0.1:{}", free_port());
        let mut process = Program::new(&binaries.etcd, directory.path())
            .args(["--name=tests", "--data-dir=data", "--log-level=warn"])
            // The data is to outlive the process, not the machine.
            .arg("--unsafe-no-fsync")
            .arg(format!("--listen-client-urls={url}"))
            .arg(format!("--advertise-client-urls={url}"))
            .arg(format!("--listen-peer-urls={peer}"))
            .arg(format!("--initial-advertise-peer-urls={peer}"))
            .arg(format!("--initial-cluster=tests={peer}"))
            .start();
        let health = format!("{url}/health");
        ready::ready(&mut process, || async {
            let answer = http_client().get(&health).send().await.map_err(|error| error.to_string())?;
            answer.error_for_status().map(drop).map_err(|error| error.to_string())
        })
        .await?;
        Ok(Self { process, _directory: directory, url })
    }

    /// Sends it a signal, by its name without SIG.
    pub(super) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }
}
