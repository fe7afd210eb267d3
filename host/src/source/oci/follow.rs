//! Follows a reference: a tag is resolved again and again, a digest is fetched once.

use std::time::Duration;

use tokio::time::sleep;

use super::artifact::Artifact;
use crate::backoff::Backoff;
use crate::source::change_notifier::ChangeNotifier;
use crate::source::{Reference, Settings, SourceError};

/// The first wait after a failure.
const SOON: Duration = Duration::from_secs(1);

/// Tells the module that a reference names, and every change of it.
///
/// At the start the cache stands in for a registry that cannot give the module: the one that ran before runs again, and
/// the trouble is told beside it.
pub(in crate::source) async fn follow(reference: &Reference, settings: &Settings, mut notifier: ChangeNotifier) {
    let poll = settings.oci.poll;
    let mut waits = Backoff::new((SOON.min(poll), poll));
    let mut artifact = loop {
        match Artifact::new(reference, settings).await {
            Ok(artifact) => break artifact,
            Err(error) => notifier.note_failure(error).await,
        }
        sleep(waits.next()).await;
    };
    loop {
        match step(&mut artifact, &mut notifier).await {
            Ok(()) if artifact.is_pinned() => return,
            Ok(()) => {
                waits = Backoff::new((SOON.min(poll), poll));
                // Many replicas that started together should not ask together.
                sleep(poll.mul_f64(rand::random_range(0.9..1.1))).await;
            }
            Err(error) => {
                notifier.note_failure(error).await;
                sleep(waits.next()).await;
            }
        }
    }
}

async fn step(artifact: &mut Artifact, notifier: &mut ChangeNotifier) -> Result<(), SourceError> {
    if !artifact.is_known()
        && let Some(module) = artifact.pinned_in_cache().await?
    {
        notifier.note_content(module).await;
        return Ok(());
    }
    match artifact.news().await {
        Ok(Some(module)) => notifier.note_content(module).await,
        Ok(None) => notifier.note_recovery().await,
        Err(error) => {
            if !artifact.is_known()
                && let Some(module) = artifact.in_cache().await?
            {
                notifier.note_content(module).await;
            }
            return Err(error);
        }
    }
    Ok(())
}
