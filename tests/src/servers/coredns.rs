//! CoreDNS with the kubernetes plugin: what pods ask for names.

use std::net::{Ipv4Addr, SocketAddr};

use super::apiserver::{ApiServer, User};
use super::binaries::MeshBinaries;
use super::directory::Directory;
use super::ports::free_port;
use super::process::{Process, Program};
use super::ready;

/// A running CoreDNS for the zone `cluster.local` of an API server.
pub struct CoreDns {
    // Dropped in this order: the process before its files.
    process: Process,
    _directory: Directory,
    port: u16,
}

impl CoreDns {
    /// Starts one, and returns when it has read the API server's Services.
    pub async fn start(binaries: &'static MeshBinaries, api: &ApiServer) -> Self {
        let kubeconfig = api.kubeconfig(User::Admin);
        ready::start("coredns", || Self::try_start(binaries, &kubeconfig)).await
    }

    async fn try_start(binaries: &MeshBinaries, kubeconfig: &std::path::Path) -> Result<Self, String> {
        let directory = Directory::new("coredns");
        let (port, ready) = (free_port(), free_port());
        // The time to live is what most clusters have at the least. What other zones have is for a server upstream to say,
        // in whose place there is none of anything.
        let corefile = format!(
            ".:{port} {{
    bind 127.0.0.1
    ready 127.0.0.1:{ready}
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {}
        ttl 5
        fallthrough in-addr.arpa ip6.arpa
    }}
    template ANY ANY . {{
        rcode NXDOMAIN
    }}
}}
",
            kubeconfig.display()
        );
        let corefile = directory.write("Corefile", corefile);
        let mut process = Program::new(&binaries.coredns, directory.path()).arg("-conf").arg(corefile).start();
        let url = format!("http://127.0.0.1:{ready}/ready");
        ready::ready(&mut process, || async {
            let answer = reqwest::get(&url).await.map_err(|error| error.to_string())?;
            answer.error_for_status().map(drop).map_err(|error| error.to_string())
        })
        .await?;
        Ok(Self { process, _directory: directory, port })
    }

    /// Where it answers, over UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// All that it has logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }
}
