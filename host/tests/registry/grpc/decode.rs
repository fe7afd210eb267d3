//! Answers as a real Polaris (1.18.1) gave them by gRPC, without the five bytes before each.

use polaris2istio::registry::{Content, decode_message};

use crate::fixture_bytes;

fn recorded(name: &str) -> Vec<u8> {
    fixture_bytes(&format!("../polaris-grpc/{name}.bin"))
}

#[test]
fn a_recorded_answer_is_read() {
    let answer = decode_message(&recorded("full"), "a test").unwrap();
    assert_eq!(answer.service.to_string(), "default/reviews");
    let Content::Listed(service) = answer.content else { panic!("it lists instances") };
    assert_eq!(service.revision.len(), 40);
    let mut found: Vec<_> =
        service.instances.iter().map(|instance| (&*instance.host, instance.port, instance.weight)).collect();
    found.sort_unstable();
    assert_eq!(found, [("10.0.0.1", 9080, 99), ("10.0.0.2", 9080, 98), ("10.0.0.3", 9080, 97)]);
    for instance in &service.instances {
        assert_eq!((instance.id.len(), &*instance.protocol, &*instance.version), (40, "http", "v1"));
        assert!(instance.healthy && !instance.isolated);
        let place = &instance.location;
        assert_eq!((&*place.region, &*place.zone, &*place.campus), ("r", "z", "c"));
        assert!(instance.metadata.contains(&("env".into(), "prod".into())), "{:?}", instance.metadata);
    }
}

#[test]
fn other_recorded_answers_are_told_apart() {
    let empty = decode_message(&recorded("empty-service"), "a test").unwrap();
    assert!(matches!(empty.content, Content::Listed(service) if service.instances.is_empty()));
    let missing = decode_message(&recorded("not-found-400202"), "a test").unwrap();
    assert_eq!((missing.service.to_string(), missing.content), ("default/nosuch".into(), Content::Missing));
    assert_eq!(decode_message(&recorded("unchanged-200001"), "a test").unwrap_err().kind(), "not-instances");
    assert_eq!(decode_message(&recorded("empty-name-400120"), "a test").unwrap_err().kind(), "refused");
    assert_eq!(decode_message(&[], "a test").unwrap_err().kind(), "not-instances");
    assert_eq!(decode_message(&[0xff; 9], "a test").unwrap_err().kind(), "not-message");
    let full = recorded("full");
    assert_eq!(decode_message(&full[..full.len() - 1], "a test").unwrap_err().kind(), "not-message");
}
