//! The past of the guard that outlives a process and a change of the leader: the alarm, and the holds that end by time. What
//! does not end by time follows from what the entry holds.
//!
//! A past that is lost or cannot be read lets nothing go: then every loss that is found at first counts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::endpoint_port::EndpointPort;
use super::fleet::Alarm;
use super::hold::Kind;
use crate::clock;

/// The room that holds may take in the shared document, in bytes: that of a thousand entries of ten endpoints. What has no
/// room is held anew by the next process.
const ROOM: usize = 128 << 10;
/// An entry's share beside the texts in it.
const OVERHEAD: usize = 160;

/// The guard's part of the shared document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GuardRecord {
    /// The fleet's alarm, while it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    alarm: Option<AlarmRecord>,
    /// The holds that end by time, by the entry's `namespace/name`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    holds: BTreeMap<String, Vec<HoldRecord>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AlarmRecord {
    since: Timestamp,
    services: usize,
    followed: usize,
}

/// Endpoints that are held since the same time for the same reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HoldRecord {
    since: Timestamp,
    /// Whether the service listed nothing.
    empty: bool,
    /// How much was gone at the worst, in thousandths between half and all.
    depth: u32,
    /// Each as `address port`, with commas between.
    endpoints: String,
}

/// Endpoint ports of one entry that are held since the same time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PastHold {
    pub(super) since: Instant,
    pub(super) kind: Kind,
    pub(super) depth: f64,
    pub(super) places: Vec<EndpointPort>,
}

/// What is known of an entry from before this process began to write.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Past {
    /// All of it.
    #[default]
    Nothing,
    Holds(Vec<PastHold>),
    /// It was lost: nobody knows what was held.
    Lost,
}

impl GuardRecord {
    pub(super) fn new<'a>(alarm: Option<Alarm>, holds: impl Iterator<Item = (&'a String, &'a [PastHold])>) -> Self {
        let alarm = alarm.map(|Alarm { since, services, followed, .. }| AlarmRecord {
            since: stamp(since),
            services,
            followed,
        });
        let mut room = ROOM;
        let fits = holds.filter_map(|(entry, holds)| {
            let holds: Vec<_> = holds.iter().map(HoldRecord::of).collect();
            let size = entry.len() + holds.iter().map(|hold| OVERHEAD + hold.endpoints.len()).sum::<usize>();
            room = room.checked_sub(size)?;
            Some((entry.clone(), holds))
        });
        Self { holds: fits.collect(), alarm }
    }

    pub(super) fn alarm(&self) -> Option<Alarm> {
        let AlarmRecord { since, services, followed } = *self.alarm.as_ref()?;
        Some(Alarm { since: clock::past(since), services, followed, holding: 0 })
    }

    pub(super) fn holds(&self) -> impl Iterator<Item = (String, Vec<PastHold>)> {
        self.holds.iter().map(|(entry, holds)| (entry.clone(), holds.iter().map(HoldRecord::past).collect()))
    }
}

impl HoldRecord {
    fn of(hold: &PastHold) -> Self {
        let place = |EndpointPort { address, port }: &EndpointPort| match port {
            Some(port) => format!("{address} {port}"),
            None => address.clone(),
        };
        let mut endpoints: Vec<_> = hold.places.iter().map(place).collect();
        endpoints.sort_unstable();
        let endpoints = endpoints.join(",");
        let (empty, depth) = (hold.kind == Kind::Empty, (hold.depth * 1000.0).ceil() as u32);
        Self { since: stamp(hold.since), empty, depth, endpoints }
    }

    fn past(&self) -> PastHold {
        let place = |text: &str| match text.split_once(' ') {
            Some((address, port)) => EndpointPort { address: address.into(), port: port.parse().ok() },
            None => EndpointPort { address: text.into(), port: None },
        };
        PastHold {
            since: clock::past(self.since),
            kind: if self.empty { Kind::Empty } else { Kind::Removal },
            depth: f64::from(self.depth.min(1000)) / 1000.0,
            places: self.endpoints.split(',').map(place).collect(),
        }
    }
}

/// To the second; upwards, so that no hold ends early, and what was read is written as it was.
fn stamp(at: Instant) -> Timestamp {
    let wall = clock::wall(at + Duration::from_millis(490));
    wall.round(jiff::Unit::Second).unwrap_or(wall)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(kind: Kind, hosts: usize) -> PastHold {
        let place = |host| EndpointPort { address: format!("10.0.0.{host}"), port: (host > 0).then_some(80) };
        PastHold { since: clock::now(), kind, depth: 0.25, places: (0..hosts).map(place).collect() }
    }

    #[test]
    fn what_is_written_is_read() {
        let (name, holds) = ("ns/a".to_owned(), [hold(Kind::Removal, 3), hold(Kind::Empty, 1)]);
        let alarm = Alarm { since: clock::now(), services: 5, followed: 20, holding: 3 };
        let record = GuardRecord::new(Some(alarm), [(&name, &holds[..])].into_iter());
        let text = serde_json::to_string(&record).unwrap();
        let read: GuardRecord = serde_json::from_str(&text).unwrap();
        assert_eq!(read, record);
        let (entry, found) = read.holds().next().unwrap();
        assert_eq!(entry, name);
        for (found, hold) in found.iter().zip(&holds) {
            assert_eq!((found.kind, found.depth, &found.places), (hold.kind, hold.depth, &hold.places));
            let apart = found.since.max(hold.since) - found.since.min(hold.since);
            assert!(apart <= Duration::from_secs(2), "{apart:?}");
        }
        let found = read.alarm().unwrap();
        assert_eq!((found.services, found.followed, found.holding), (5, 20, 0));
        assert_eq!(serde_json::to_string(&GuardRecord::default()).unwrap(), "{}");
    }

    /// Of 10,000 entries that hold, as many as there is room for are written.
    #[test]
    fn it_never_takes_more_than_its_room() {
        let names: Vec<_> = (0..10_000).map(|number| format!("shop/service-{number:05}")).collect();
        let holds = [hold(Kind::Empty, 10)];
        let record = GuardRecord::new(None, names.iter().map(|name| (name, &holds[..])));
        let size = serde_json::to_string_pretty(&record).unwrap().len();
        assert!(record.holds.len() > 300, "{}", record.holds.len());
        assert!(size <= ROOM, "{size}");
    }
}
