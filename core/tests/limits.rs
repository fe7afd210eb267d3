//! Services at and beyond what a ServiceEntry holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use polaris2istio_core::model::{Request, Verdict};
use polaris2istio_core::{convert, limits};
use support::request;

#[track_caller]
fn check(request: &Request, expected: Option<(&str, &[&str])>) {
    let outcome = convert(request).unwrap();
    let error = outcome.diagnostics.iter().find(|found| found.code.contains("too-"));
    assert_eq!(outcome.verdict == Verdict::Rejected, expected.is_some());
    assert_eq!(error.map(|error| error.code.as_str()), expected.map(|(code, _)| code));
    if let (Some(error), Some((_, figures))) = (error, expected) {
        for figure in figures {
            assert!(error.message.contains(figure), "{} lacks {figure}", error.message);
        }
    }
}

#[test]
fn endpoints() {
    check(&request(4096), None);
    check(&request(4097), Some(("too-many-endpoints", &["4097", "4096"])));
}

#[test]
fn weights() {
    let mut heavy = request(2);
    heavy.service.instances[0].weight = u32::MAX - 1;
    heavy.service.instances[1].weight = 1;
    check(&heavy, None);
    heavy.service.instances[1].weight = 2;
    check(&heavy, Some(("weights-too-large", &["4294967296", "4294967295"])));
}

#[test]
fn bytes() {
    let mut large = request(4096);
    for instance in &mut large.service.instances {
        instance.metadata = (0..3).map(|number| (format!("key-{number}"), "v".repeat(63))).collect();
    }
    check(&large, Some(("entry-too-large", &["1500000"])));
}

#[test]
fn ports() {
    let mut wide = request(256);
    for (number, instance) in wide.service.instances.iter_mut().enumerate() {
        instance.protocol = format!("metaprotocol-p{number}");
    }
    check(&wide, None);
    let mut wider = wide.clone();
    wider.service.instances.push(support::instance(1000));
    check(&wider, Some(("too-many-ports", &["257", "256"])));
    for instance in &mut wide.service.instances {
        instance.host = "10.0.0.1".to_owned();
    }
    check(&wide, Some(("too-many-ports", &["256", "128"])));
}

/// The estimate must not lie below the truth, or the API server says it first; nor far above, or the limit is another.
#[test]
fn estimate_is_near_the_truth() {
    let mut largest = None;
    for value in 1..=63 {
        let mut request = request(4000);
        for instance in &mut request.service.instances {
            for (_, text) in &mut instance.metadata {
                *text = "v".repeat(value);
            }
        }
        match convert(&request).unwrap().verdict {
            Verdict::Update(update) => largest = Some(update),
            _ => break,
        }
    }
    let object = |pairs: &[(String, String)]| -> serde_json::Map<_, _> {
        pairs.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect()
    };
    let update = largest.expect("some fit");
    let bytes: usize = update
        .endpoints
        .iter()
        .map(|endpoint| {
            let ports: serde_json::Map<_, _> =
                endpoint.ports.iter().map(|(name, port)| (name.clone(), (*port).into())).collect();
            let json = serde_json::json!({
                "address": endpoint.address, "labels": object(&endpoint.labels), "locality": endpoint.locality,
                "ports": ports, "weight": endpoint.weight,
            });
            json.to_string().len() + 1
        })
        .sum();
    assert!(bytes < limits::BYTES, "{bytes}");
    assert!(bytes > limits::BYTES * 85 / 100, "{bytes}");
}
