//! One API server and one Polaris for all tests of a test binary: they take
//! seconds to start, and a test needs only a namespace of each.

use tokio::sync::OnceCell;

use super::{ApiServer, Polaris, PolarisOptions, binaries};

/// The servers that the tests of one test binary share. They cannot be
/// stopped, since that needs them mutably.
pub struct Servers {
    /// An API server with the ServiceEntry CRD.
    pub api: ApiServer,
    /// A Polaris server that asks for no token.
    pub polaris: Polaris,
}

/// The shared servers, started by the first test that asks; `None` where they
/// have not been built, in which case a test has nothing more to do.
pub async fn shared() -> Option<&'static Servers> {
    static SERVERS: OnceCell<Servers> = OnceCell::const_new();
    let binaries = binaries()?;
    let servers = SERVERS
        .get_or_init(|| async {
            let (api, polaris) =
                tokio::join!(ApiServer::start(binaries), Polaris::start(binaries, PolarisOptions::default()));
            Servers { api, polaris }
        })
        .await;
    Some(servers)
}
