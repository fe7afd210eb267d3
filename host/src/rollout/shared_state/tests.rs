//! Releases share the document: one reads what an older one wrote, and additions of a later one do not stop an operator
//! who goes back.

use serde_json::{Value, json};

use super::SharedState;
use crate::state::{FileStore, Keeper, Store};

/// Everything that release 0.1.0 writes. A later release reads it as long as this file stays as it is.
const OF_0_1_0: &str = include_str!("../../../tests/fixtures/state/0.1.0.json");

#[test]
fn what_0_1_0_wrote_is_read_and_nothing_is_lost() {
    let document: Value = serde_json::from_str(OF_0_1_0).unwrap();
    assert_eq!(serde_json::to_value(read(&document)).unwrap(), document);
}

#[test]
fn a_part_that_is_missing_is_as_if_nothing_had_happened() {
    for document in [json!({}), json!({"module": {}}), json!({"module": {"history": []}})] {
        assert_eq!(read(&document), SharedState::default(), "{document}");
    }
}

#[test]
fn fields_that_a_later_release_adds_are_passed_over() {
    let mut document: Value = serde_json::from_str(OF_0_1_0).unwrap();
    let known = read(&document);
    for object in [
        "",
        "/module",
        "/module/active",
        "/module/canary",
        "/module/candidate",
        "/module/candidate/report",
        "/module/candidate/report/largest/0",
        "/module/refused/0",
        "/module/history/0",
        "/paused",
        "/request",
        "/answer",
    ] {
        document.pointer_mut(object).unwrap()["addedLater"] = json!({"some": ["thing"]});
    }
    assert_eq!(read(&document), known);
}

/// Events and commands of a later release that this one has no word for are left out, and nothing beside them.
#[test]
fn events_and_commands_of_a_later_release_are_left_out() {
    let document: Value = serde_json::from_str(OF_0_1_0).unwrap();
    let check = |place: &str, value: Value, left_out: fn(&mut SharedState)| {
        let mut later = document.clone();
        *later.pointer_mut(place).unwrap() = value;
        let mut expected = read(&document);
        left_out(&mut expected);
        assert_eq!(read(&later), expected, "{place}");
    };
    check("/module/history/2/what", json!("tried-elsewhere"), |state| drop(state.module.history.remove(2)));
    check("/module/candidate/report/largest/1/status", json!("doubtful"), |state| state.module.candidate = None);
    check("/request/command", json!({"module": {"promote": "latest"}}), |state| state.request = None);
    check("/answer/reply", json!({"postponed": 3}), |state| state.answer = None);
}

/// The module in use, the refused ones and a pause are never guessed.
#[test]
fn what_must_be_known_is_not_left_out() {
    for place in ["/module/active", "/module/earlier/0", "/module/canary", "/module/refused/0", "/paused"] {
        let mut document: Value = serde_json::from_str(OF_0_1_0).unwrap();
        *document.pointer_mut(place).unwrap() = json!({"written": "otherwise"});
        assert!(serde_json::from_value::<SharedState>(document).is_err(), "{place}");
    }
}

#[tokio::test]
async fn a_change_keeps_what_is_known_and_drops_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    let mut document: Value = serde_json::from_str(OF_0_1_0).unwrap();
    let mut later = document.clone();
    later["addedLater"] = json!(1);
    later["module"]["active"]["addedLater"] = json!(1);
    std::fs::write(&path, later.to_string()).unwrap();
    let keeper = Keeper::open(Store::File(FileStore::new(&path))).await.unwrap();
    keeper.update(|state: &mut SharedState, _| state.paused = None).await.unwrap();
    document.as_object_mut().unwrap().remove("paused");
    let written: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(written, document);
}

#[track_caller]
fn read(document: &Value) -> SharedState {
    serde_json::from_value(document.clone()).unwrap()
}

/// A process that starts on a document that it cannot read opens nothing, and goes on when that is mended; one that ends by
/// itself says so at once.
#[tokio::test]
async fn a_document_that_cannot_be_read_ends_no_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    std::fs::write(&path, r#"{"paused": {"sin"#).unwrap();
    let store = || Store::File(FileStore::new(&path));
    let error = Keeper::<SharedState>::open_once(store()).await.err().unwrap().to_string();
    assert!(error.contains("restore it, or delete it"), "{error}");
    let mut opened = std::pin::pin!(Keeper::<SharedState>::open(store()));
    assert!(futures::poll!(opened.as_mut()).is_pending());
    std::fs::write(&path, OF_0_1_0).unwrap();
    let keeper = tokio::time::timeout(std::time::Duration::from_secs(20), opened).await.unwrap().unwrap();
    assert!(keeper.document().borrow().paused.is_some());
}

/// What the guard left in a form of another release is as if it were lost, and nothing beside it.
#[test]
fn a_guard_of_another_release_is_lost_and_the_rest_is_not() {
    let mut document: Value = serde_json::from_str(OF_0_1_0).unwrap();
    document["guard"] = json!({"alarm": {"since": "2026-01-01T00:00:00Z", "services": 5, "followed": 9}});
    assert!(read(&document).guard.is_some());
    let known = SharedState { guard: None, ..read(&document) };
    document["guard"] = json!({"alarm": "ringing"});
    assert_eq!(read(&document), known);
}
