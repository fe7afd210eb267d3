//! The cache on disk, which stands in for a registry at the start.

use std::fs;

use polaris2istio::source::{Settings, SourceNews, fetch, follow};

use super::fake::Fake;
use super::settings;
use crate::news::{failed, has, next};

#[tokio::test]
async fn the_cache_stands_in_at_the_start_for_what_was_seen_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start().await;
    let pinned = fake.push("v1", b"one");
    let settings = Settings { cache: Some(directory.path().into()), ..settings() };
    has(next(&mut follow(fake.source(":v1"), settings.clone())).await, b"one");
    // The registry is broken at the next start.
    fake.state.lock().unwrap().replies.clear();
    let mut follower = follow(fake.source(":v1"), settings.clone());
    let cached = has(next(&mut follower).await, b"one");
    assert_eq!(cached.origin, format!("oci://127.0.0.1:{}/rules:v1@{pinned} (from the cache)", fake.port));
    failed(next(&mut follower).await, "HTTP 404");
    // It comes back: as it was, then with another.
    fake.push("v1", b"one");
    assert_eq!(next(&mut follower).await, SourceNews::Recovered);
    fake.push("v1", b"two");
    has(next(&mut follower).await, b"two");
    fake.state.lock().unwrap().replies.clear();
    has(next(&mut follow(fake.source(":v1"), settings.clone())).await, b"two");
    // A pinned digest needs no registry at all, now that it was seen.
    let requests = fake.requests().len();
    has(next(&mut follow(fake.source(&format!("@{pinned}")), settings.clone())).await, b"one");
    assert!(fetch(&fake.source(&format!("@{pinned}")), &settings).await.unwrap().origin.ends_with("(from the cache)"));
    assert!(!fake.requests()[requests..].iter().any(|request| request.contains(&pinned.to_string())));
    // Another tag was never seen, nor was another repository.
    failed(next(&mut follow(fake.source(":v2"), settings.clone())).await, "HTTP 404");
    failed(next(&mut follow(fake.source("/other:v1"), settings.clone())).await, "HTTP 404");
    // A smaller limit holds for the cache, too.
    let smaller = Settings { size_limit: 2, ..settings.clone() };
    failed(next(&mut follow(fake.source(":v1"), smaller)).await, "HTTP 404");
    // A module that was altered on disk is not used.
    for entry in fs::read_dir(directory.path().join("modules")).unwrap() {
        fs::write(entry.unwrap().path(), b"bad").unwrap();
    }
    failed(next(&mut follow(fake.source(":v1"), settings.clone())).await, "HTTP 404");
    failed(next(&mut follow(fake.source(&format!("@{pinned}")), settings)).await, "HTTP 404");
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_costs_nothing_but_itself() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let fake = Fake::start().await;
    fake.push("v1", b"module");
    let settings = Settings { cache: Some(file), ..settings() };
    has(next(&mut follow(fake.source(":v1"), settings)).await, b"module");
}
