//! Whether somebody renews a lease, seen by one who takes no part in the election.

use std::time::Duration;

use kube::{Api, Client};

use super::record::{Leases, record};
use super::rules::{Step, Watched};
use crate::clock;

/// Between two looks: a holder renews eight times within its lease's time, which is two seconds at least.
const EVERY: Duration = Duration::from_millis(200);
/// The longest look. A lease that lapses later counts as held, since nothing shows that it is not.
const AT_MOST: Duration = Duration::from_secs(60);

/// A lease as an outsider sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Whoever holds it and may be alive; `None` if it is free, or was not renewed for its time.
    pub holder: Option<String>,
    /// The namespace of the entries that its holders serve.
    pub serves: Option<String>,
}

/// Looks at a lease until it is certain whether its holder is alive: no clocks are compared, so that takes its time where the
/// holder died. `None` if there is no such lease.
pub async fn presence(client: &Client, namespace: &str, name: &str) -> kube::Result<Option<Presence>> {
    let leases =
        Leases { api: Api::namespaced(client.clone(), namespace), name: name.into(), serves: String::default() };
    let (mut watched, begin) = (Watched::default(), clock::now());
    let mut first = None;
    loop {
        let Some(lease) = leases.get().await? else { return Ok(None) };
        let (shown, now) = (record(&lease), clock::now());
        let serves = shown.serves.clone();
        // A name that nobody has: whose lease is free belongs to no one.
        if watched.step(Some(&shown), "", now) == Step::Take {
            return Ok(Some(Presence { holder: None, serves }));
        }
        let renewed = first.get_or_insert_with(|| shown.clone()) != &shown;
        if renewed || now.duration_since(begin) > AT_MOST {
            return Ok(Some(Presence { holder: Some(shown.holder), serves }));
        }
        tokio::time::sleep(EVERY).await;
    }
}
