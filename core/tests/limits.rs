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

/// Endpoints of the requests below.
const MANY: usize = 4000;

/// A request whose entry is too large: each endpoint has four labels, and the entry an annotation of so many bytes.
fn too_large(annotation: usize) -> Request {
    let mut large = request(MANY);
    for instance in &mut large.service.instances {
        // All addresses have as many digits.
        let number = u32::from_str_radix(&instance.id, 16).unwrap();
        instance.host = format!("100.100.1{:02}.1{:02}", number / 100, number % 100);
        instance.metadata = (0..4).map(|number| (format!("key-{number}"), "v".repeat(60))).collect();
    }
    large.entry.annotations.push(("note".to_owned(), "n".repeat(annotation)));
    large
}

/// The figure in the rejection of a request that is too large; nothing for one that is not.
fn figure(request: &Request) -> Option<usize> {
    let outcome = convert(request).unwrap();
    let error = outcome.diagnostics.iter().find(|found| found.code == "entry-too-large")?;
    let (_, rest) = error.message.split_once("about ").unwrap();
    Some(rest.split(' ').next().unwrap().parse().unwrap())
}

/// What a change adds to each endpoint is what the estimate grows by.
#[track_caller]
fn check_growth(each: usize, once: usize, change: impl Fn(&mut Request)) {
    let mut changed = too_large(0);
    change(&mut changed);
    assert_eq!(figure(&changed).unwrap() - figure(&too_large(0)).unwrap(), MANY * each + once);
}

fn each_instance(request: &mut Request, change: impl Fn(&mut polaris2istio_core::model::Instance)) {
    request.service.instances.iter_mut().for_each(change);
}

#[test]
fn every_part_counts() {
    check_growth(0, 0, |_| {});
    // "k":"value",
    check_growth(12, 0, |it| each_instance(it, |one| one.metadata.push(("k".to_owned(), "value".to_owned()))));
    check_growth(0, 0, |it| each_instance(it, |one| one.metadata.push(("k".to_owned(), "no label".to_owned()))));
    // A longer part of the locality, and one less.
    check_growth(3, 0, |it| each_instance(it, |one| one.location.region.push_str("abc")));
    let parts = |it: &mut Request| each_instance(it, |one| one.location.campus.clear());
    let (mut shorter, campus) = (too_large(0), "campus-a".len() + 2);
    parts(&mut shorter);
    assert_eq!(figure(&too_large(0)).unwrap() - figure(&shorter).unwrap(), MANY * campus);
    // The annotation itself, and "serviceAccount":"abc", or "network":"abc", at each endpoint.
    for key in ["aeraki.net/serviceAccount", "aeraki.net/network"] {
        check_growth(18 + 5, key.len() + 3 + 6, |it| {
            it.entry.annotations.push((key.to_owned(), "abc".to_owned()));
        });
    }
    // A weight counts with all the digits that it may have.
    check_growth(0, 0, |it| each_instance(it, |one| one.weight = 7));
    // The protocol's name is that of the port: "grpc-web":8080,
    check_growth("grpc-web".len() - "http".len(), 0, |it| {
        each_instance(it, |one| one.protocol = "grpc-web".to_owned());
    });
}

/// What is exactly as large as it may be is taken, and a byte more is refused.
#[test]
fn to_the_byte() {
    // {"address":"","labels":{},"locality":"","ports":{},"weight":4294967295}, with all that stands in it.
    let labels: usize = (0..4).map(|_| "key-0".len() + 60 + 6).sum::<usize>() + "version".len() + "v1".len() + 6;
    let locality = "ap-guangzhou".len() + "ap-guangzhou-3".len() + "campus-a".len() + 6;
    let each = 62 + 10 + "100.100.100.100".len() + labels + locality + "http".len() + 9;
    let pairs = too_large(0).entry;
    let pairs = pairs.labels.iter().chain(&pairs.annotations);
    let entry =
        4096 + pairs.map(|(key, value)| key.len() + value.len() + 6).sum::<usize>() + "dev.orders.polaris".len() + 3;
    assert_eq!(figure(&too_large(0)), Some(MANY * each + entry));

    let mut fits = too_large(100_000);
    let surplus = (figure(&fits).unwrap() - limits::BYTES - 90_000) / each + 1;
    fits.service.instances.truncate(MANY - surplus);
    let excess = figure(&fits).unwrap() - limits::BYTES;
    let note = fits.entry.annotations.last_mut().unwrap();
    note.1.truncate(100_000 - excess);
    assert_eq!(figure(&fits), None);
    fits.entry.annotations.last_mut().unwrap().1.push('n');
    assert_eq!(figure(&fits), Some(limits::BYTES + 1));
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
