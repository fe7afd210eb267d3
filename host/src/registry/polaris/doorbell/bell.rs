//! Either kind of doorbell, listened to again and again.

use std::sync::Arc;

use tokio::sync::mpsc::Sender;
use tokio::sync::watch;
use tokio::time::sleep;

use super::console::Console;
use super::nacos::Nacos;
use super::{DoorbellConfig, DoorbellKind, Heard, Ring, Wanted};
use crate::registry::RegistryError;
use crate::registry::polaris::PolarisConfig;

/// A doorbell that nobody listens to yet.
#[derive(Debug)]
pub(in crate::registry::polaris) struct Bell {
    kind: Kind,
    heard: Heard,
}

#[derive(Debug)]
enum Kind {
    Console(Console),
    Nacos(Nacos),
}

impl Bell {
    pub(in crate::registry::polaris) fn new(
        config: &DoorbellConfig,
        registry: &Arc<PolarisConfig>,
    ) -> Result<Self, RegistryError> {
        let kind = match config.kind {
            DoorbellKind::Console => Kind::Console(Console::new(config, registry)?),
            DoorbellKind::Nacos => Kind::Nacos(Nacos::new(config, registry)?),
        };
        Ok(Self { kind, heard: Heard::new(config.kind, config.address.to_string()) })
    }

    /// Listens again and again, until nobody wants to know.
    pub(super) async fn listen(mut self, rings: Sender<Ring>, mut wanted: watch::Receiver<Wanted>) {
        loop {
            let ended = match &self.kind {
                Kind::Console(console) => console.listen(&rings, &mut self.heard).await,
                Kind::Nacos(nacos) => nacos.listen(&rings, &mut wanted, &mut self.heard).await,
            };
            let Err(problem) = ended else { return };
            let wait = self.heard.fails(problem);
            if rings.send(Ring::Silent).await.is_err() {
                return;
            }
            sleep(wait).await;
        }
    }
}
