//! Follows a reference: a tag is resolved again and again, a digest is fetched once.

use std::time::Duration;

use tokio::time::sleep;

use super::artifact::Artifact;
use crate::backoff::Backoff;
use crate::source::change_notifier::ChangeNotifier;
use crate::source::{Reference, Settings, SourceError};

/// The first wait after a failure.
const SOON: Duration = Duration::from_secs(1);

/// Tells what a reference names, and whenever that changes.
///
/// At the start the cache stands in for a registry that cannot give what the reference names: what was run before is run
/// again, and the trouble is told beside it.
pub(in crate::source) async fn follow(reference: &Reference, settings: &Settings, mut teller: ChangeNotifier) {
    let poll = settings.oci.poll;
    let mut waits = Backoff::new((SOON.min(poll), poll));
    let mut artifact = loop {
        match Artifact::new(reference, settings).await {
            Ok(artifact) => break artifact,
            Err(error) => teller.fails(error).await,
        }
        sleep(waits.next()).await;
    };
    loop {
        match step(&mut artifact, &mut teller).await {
            Ok(()) if artifact.is_pinned() => return,
            Ok(()) => {
                waits = Backoff::new((SOON.min(poll), poll));
                // Many replicas that started together should not ask together.
                sleep(poll.mul_f64(rand::random_range(0.9..1.1))).await;
            }
            Err(error) => {
                teller.fails(error).await;
                sleep(waits.next()).await;
            }
        }
    }
}

async fn step(artifact: &mut Artifact, teller: &mut ChangeNotifier) -> Result<(), SourceError> {
    if !artifact.is_known()
        && let Some(candidate) = artifact.pinned_in_cache().await?
    {
        teller.has(candidate).await;
        return Ok(());
    }
    match artifact.news().await {
        Ok(Some(candidate)) => teller.has(candidate).await,
        Ok(None) => teller.is_well().await,
        Err(error) => {
            if !artifact.is_known()
                && let Some(candidate) = artifact.in_cache().await?
            {
                teller.has(candidate).await;
            }
            return Err(error);
        }
    }
    Ok(())
}
