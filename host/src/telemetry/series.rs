//! Events that say the same of one entry are one Event that counts; with other words it is another one.
//!
//! kube's recorder tells them apart by reason and action alone, and goes on showing the first words, which may be false by then:
//! an annotation that says `perhaps`, and then `never`, is wrong for the same reason, and its owner reads of `perhaps` alone.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Error};
use serde_json::json;

/// Our name in Events.
const CONTROLLER: &str = "polaris2istio";
/// After how long without a repetition a series is over, as kube and client-go have it.
const LASTS: Duration = Duration::from_secs(6 * 60);
/// Series that are remembered; of more, the oldest is forgotten, and begins anew.
const SERIES: usize = 1024;
/// An Event's name holds 253 characters; this leaves room for what sets it apart.
const NAME: usize = 200;

/// The words of an Event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Words {
    /// `Normal` or `Warning`.
    pub(super) kind: &'static str,
    pub(super) reason: &'static str,
    pub(super) action: &'static str,
    pub(super) note: String,
}

/// Writes Events, and knows those that it wrote last.
pub(super) struct Recorder {
    client: Client,
    /// Which process it is.
    instance: String,
    told: Told,
}

impl Recorder {
    pub(super) fn new(client: Client, identity: &str) -> Self {
        // The API takes 128 characters.
        Self { client, instance: identity.chars().take(128).collect(), told: Told::default() }
    }

    pub(super) async fn publish(&mut self, reference: &ObjectReference, words: &Words) -> Result<(), Error> {
        let api = Api::namespaced(self.client.clone(), reference.namespace.as_deref().unwrap_or("default"));
        let entry = reference.uid.clone().unwrap_or_default();
        let at = Timestamp::now();
        if let Some((name, count)) = self.told.again(&entry, words, Instant::now()) {
            let patch = json!({ "series": { "count": count, "lastObservedTime": MicroTime(at) } });
            match api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await {
                // Somebody deleted it.
                Err(Error::Api(status)) if status.code == 404 => {}
                patched => return patched.map(drop),
            }
        }
        let event = self.event(reference, words, at);
        let name = event.metadata.name.clone().unwrap_or_default();
        api.create(&PostParams::default(), &event).await?;
        self.told.begin(entry, words.clone(), name, Instant::now());
        Ok(())
    }

    fn event(&self, reference: &ObjectReference, words: &Words, at: Timestamp) -> Event {
        let Words { kind, reason, action, note } = words.clone();
        let metadata = ObjectMeta {
            name: Some(name(reference.name.as_deref().unwrap_or(CONTROLLER), at)),
            namespace: reference.namespace.clone(),
            ..ObjectMeta::default()
        };
        Event {
            metadata,
            type_: Some(kind.into()),
            reason: Some(reason.into()),
            action: Some(action.into()),
            note: Some(note),
            event_time: Some(MicroTime(at)),
            regarding: Some(reference.clone()),
            reporting_controller: Some(CONTROLLER.into()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        }
    }
}

/// A name of its own for an Event on this entry.
fn name(entry: &str, at: Timestamp) -> String {
    // A part of a name ends in a letter or a figure.
    let entry = entry[..entry.floor_char_boundary(NAME)].trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    format!("{entry}.{:x}", at.as_nanosecond())
}

/// The Events that were written last, by the entry's uid and what they say.
#[derive(Default)]
struct Told {
    series: HashMap<(String, Words), Series>,
}

struct Series {
    name: String,
    count: i32,
    last: Instant,
}

impl Told {
    /// The Event that said the same lately, and how often that was said with this time.
    fn again(&mut self, entry: &str, words: &Words, now: Instant) -> Option<(String, i32)> {
        self.series.retain(|_, series| now.duration_since(series.last) < LASTS);
        let series = self.series.get_mut(&(entry.to_owned(), words.clone()))?;
        series.count += 1;
        series.last = now;
        Some((series.name.clone(), series.count))
    }

    fn begin(&mut self, entry: String, words: Words, name: String, now: Instant) {
        if self.series.len() >= SERIES
            && let Some(oldest) = self.series.iter().min_by_key(|(_, series)| series.last).map(|(key, _)| key.clone())
        {
            self.series.remove(&oldest);
        }
        self.series.insert((entry, words), Series { name, count: 1, last: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(note: &str) -> Words {
        Words { kind: "Warning", reason: "EndpointsHeld", action: "Hold", note: note.into() }
    }

    #[test]
    fn the_same_words_count_and_others_are_another_event() {
        let (mut told, start) = (Told::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(told.again("uid", &words("removal"), at(0)), None);
        told.begin("uid".into(), words("removal"), "first".into(), at(0));
        assert_eq!(told.again("uid", &words("empty"), at(1)), None, "another note");
        told.begin("uid".into(), words("empty"), "second".into(), at(1));
        assert_eq!(told.again("other", &words("removal"), at(2)), None, "another entry");
        assert_eq!(told.again("uid", &words("removal"), at(300)), Some(("first".into(), 2)));
        assert_eq!(told.again("uid", &words("removal"), at(600)), Some(("first".into(), 3)), "since it went on");
        assert_eq!(told.again("uid", &words("empty"), at(600)), None, "it is over");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut told, start) = (Told::default(), Instant::now());
        for number in 0..=SERIES {
            let at = start + Duration::from_millis(number as u64);
            told.begin("uid".into(), words(&number.to_string()), number.to_string(), at);
        }
        let now = start + Duration::from_secs(2);
        assert_eq!(told.series.len(), SERIES);
        assert_eq!(told.again("uid", &words("0"), now), None, "the oldest is forgotten");
        assert_eq!(told.again("uid", &words("1"), now), Some(("1".into(), 2)));
    }

    #[test]
    fn a_long_name_is_cut_where_it_may_end() {
        let at = Timestamp::UNIX_EPOCH;
        assert_eq!(name("cart", at), "cart.0");
        let long = format!("{}.{}", "a".repeat(199), "b".repeat(40));
        assert_eq!(name(&long, at), format!("{}.0", "a".repeat(199)));
    }
}
