//! A directory of answers in the place of a server.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use polaris2istio::registry::{DirectoryConfig, DirectoryRegistry};
use polaris2istio::watch_dir::WatchOptions;
use tempfile::TempDir;

use super::follower::{Following, follow};
use super::{listed, recorded};

const ONE: &[(&str, &str)] = &[("a", "10.0.0.1")];
const TWO: &[(&str, &str)] = &[("a", "10.0.0.1"), ("b", "10.0.0.2")];

fn config(path: &Path) -> DirectoryConfig {
    let options = WatchOptions {
        vanish_grace: Duration::from_millis(300),
        settle: Duration::from_millis(50),
        ..WatchOptions::default()
    };
    DirectoryConfig { path: path.to_owned(), options }
}

fn watch(directory: &TempDir, names: &[&str]) -> Following {
    follow(DirectoryRegistry::new(config(directory.path())).unwrap(), names)
}

fn write(directory: &TempDir, file: &str, text: &str) {
    fs::write(directory.path().join(file), text).unwrap();
}

/// Writes as editors do: beside, then renamed into place.
fn replace(directory: &TempDir, file: &str, text: &str) {
    write(directory, ".new", text);
    fs::rename(directory.path().join(".new"), directory.path().join(file)).unwrap();
}

#[tokio::test]
async fn files_are_named_by_what_they_say() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, "whatever.json", &listed("cart", "r1", ONE));
    write(&directory, "gone.json", r#"{"code":400202,"service":{"namespace":"shop","name":"gone"}}"#);
    write(&directory, "notes.txt", "no answer");
    write(&directory, ".hidden.json", "no answer");
    let mut following = watch(&directory, &["cart", "gone", "unheard-of"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    following.missing("gone").await;
    following.missing("unheard-of").await;
    following.quiet();
}

#[tokio::test]
async fn edits_show_however_they_are_written() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, "cart.json", &listed("cart", "r1", ONE));
    let mut following = watch(&directory, &["cart", "new"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    following.missing("new").await;
    write(&directory, "cart.json", &listed("cart", "r1", TWO));
    following.hosts("cart", &["10.0.0.1", "10.0.0.2"]).await;
    replace(&directory, "cart.json", &listed("cart", "r1", ONE));
    following.hosts("cart", &["10.0.0.1"]).await;
    // Written as it was, it is no news; the next report is of another file.
    replace(&directory, "cart.json", &listed("cart", "r2", ONE));
    write(&directory, "new.json", &listed("new", "r1", ONE));
    following.hosts("new", &["10.0.0.1"]).await;
}

#[tokio::test]
async fn a_file_that_cannot_be_understood_fails_its_service_alone() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, "cart.json", &listed("cart", "r1", ONE));
    write(&directory, "other.json", &listed("other", "r1", ONE));
    let mut following = watch(&directory, &["cart", "other"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    following.hosts("other", &["10.0.0.1"]).await;
    write(&directory, "cart.json", &listed("cart", "r1", TWO)[..60]);
    let error = following.failed("cart", "not-json").await.to_string();
    assert!(error.contains("cart.json") && error.contains("ends too early"), "{error}");
    write(&directory, "other.json", &listed("other", "r1", TWO));
    following.hosts("other", &["10.0.0.1", "10.0.0.2"]).await;
    write(&directory, "cart.json", &listed("cart", "r1", ONE));
    following.hosts("cart", &["10.0.0.1"]).await;
}

#[tokio::test]
async fn a_half_written_file_is_no_news() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, "cart.json", &listed("cart", "r1", ONE));
    let options = WatchOptions { settle: Duration::from_secs(60), ..WatchOptions::default() };
    let config = DirectoryConfig { options, ..config(directory.path()) };
    let mut following = follow(DirectoryRegistry::new(config).unwrap(), &["cart", "probe"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    following.missing("probe").await;
    write(&directory, "cart.json", "");
    write(&directory, "probe.json", &listed("probe", "r1", ONE));
    following.hosts("probe", &["10.0.0.1"]).await;
    write(&directory, "cart.json", &listed("cart", "r1", TWO)[..60]);
    write(&directory, "probe.json", &listed("probe", "r1", TWO));
    following.hosts("probe", &["10.0.0.1", "10.0.0.2"]).await;
    write(&directory, "cart.json", &listed("cart", "r1", TWO));
    following.hosts("cart", &["10.0.0.1", "10.0.0.2"]).await;
}

#[tokio::test]
async fn a_file_that_vanishes_and_comes_back_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, "cart.json", &listed("cart", "r1", ONE));
    let options = WatchOptions { vanish_grace: Duration::from_secs(60), ..WatchOptions::default() };
    let config = DirectoryConfig { options, ..config(directory.path()) };
    let mut following = follow(DirectoryRegistry::new(config).unwrap(), &["cart", "probe"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    following.missing("probe").await;
    fs::remove_file(directory.path().join("cart.json")).unwrap();
    write(&directory, "probe.json", &listed("probe", "r1", ONE));
    following.hosts("probe", &["10.0.0.1"]).await;
    write(&directory, "cart.json", &listed("cart", "r1", ONE));
    write(&directory, "probe.json", &listed("probe", "r1", TWO));
    following.hosts("probe", &["10.0.0.1", "10.0.0.2"]).await;
    following.quiet();
}

#[tokio::test]
async fn a_file_that_stays_away_is_a_service_that_does_not_exist() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, "cart.json", &listed("cart", "r1", ONE));
    let mut following = watch(&directory, &["cart"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    fs::remove_file(directory.path().join("cart.json")).unwrap();
    following.missing("cart").await;
    write(&directory, "again.json", &listed("cart", "r1", ONE));
    following.hosts("cart", &["10.0.0.1"]).await;
}

#[tokio::test]
async fn of_two_files_for_one_service_the_first_by_name_stands() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, "b.json", &listed("cart", "r1", TWO));
    write(&directory, "a.json", &listed("cart", "r1", ONE));
    let mut following = watch(&directory, &["cart"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    fs::remove_file(directory.path().join("a.json")).unwrap();
    following.hosts("cart", &["10.0.0.1", "10.0.0.2"]).await;
}

#[tokio::test]
async fn a_swapped_symlink_shows() {
    // As kubelet does it: data directories, a symlink to the present one, and symlinks through it.
    let directory = tempfile::tempdir().unwrap();
    for (data, instances) in [("..1", ONE), ("..2", TWO)] {
        fs::create_dir(directory.path().join(data)).unwrap();
        write(&directory, &format!("{data}/cart.json"), &listed("cart", "r1", instances));
    }
    symlink("..1", directory.path().join("..data")).unwrap();
    symlink("..data/cart.json", directory.path().join("cart.json")).unwrap();
    let mut following = watch(&directory, &["cart"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    symlink("..2", directory.path().join("..data_tmp")).unwrap();
    fs::rename(directory.path().join("..data_tmp"), directory.path().join("..data")).unwrap();
    following.hosts("cart", &["10.0.0.1", "10.0.0.2"]).await;
}

#[tokio::test]
async fn a_directory_that_is_swapped_shows() {
    let directory = tempfile::tempdir().unwrap();
    for (data, instances) in [("1", ONE), ("2", TWO)] {
        fs::create_dir(directory.path().join(data)).unwrap();
        write(&directory, &format!("{data}/cart.json"), &listed("cart", "r1", instances));
    }
    let path = directory.path().join("answers");
    symlink("1", &path).unwrap();
    let mut following = follow(DirectoryRegistry::new(config(&path)).unwrap(), &["cart"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    symlink("2", directory.path().join("next")).unwrap();
    fs::rename(directory.path().join("next"), &path).unwrap();
    following.hosts("cart", &["10.0.0.1", "10.0.0.2"]).await;
    // The new one is watched like the old one.
    write(&directory, "2/cart.json", &listed("cart", "r1", ONE));
    following.hosts("cart", &["10.0.0.1"]).await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_read_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let none = directory.path().join("none");
    let error = DirectoryRegistry::new(config(&none)).unwrap_err().to_string();
    assert!(error.contains("/none") && error.contains("create it"), "{error}");
    write(&directory, "file", "");
    let error = DirectoryRegistry::new(config(&directory.path().join("file"))).unwrap_err().to_string();
    assert!(error.contains("/file") && error.contains("not a file"), "{error}");
}

#[tokio::test]
async fn a_directory_that_goes_away_fails_and_recovers() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("answers");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("cart.json"), listed("cart", "r1", ONE)).unwrap();
    let mut following = follow(DirectoryRegistry::new(config(&path)).unwrap(), &["cart"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    fs::rename(&path, parent.path().join("away")).unwrap();
    let error = following.failed("cart", "directory").await.to_string();
    assert!(error.contains("/answers"), "{error}");
    fs::rename(parent.path().join("away"), &path).unwrap();
    following.hosts("cart", &["10.0.0.1"]).await;
    fs::write(path.join("cart.json"), listed("cart", "r1", TWO)).unwrap();
    following.hosts("cart", &["10.0.0.1", "10.0.0.2"]).await;
}

#[tokio::test]
async fn while_a_file_cannot_be_understood_nothing_is_said_to_be_missing() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, "cart.json", "{");
    let mut following = watch(&directory, &["cart"]);
    let error = following.failed("cart", "obscured").await.to_string();
    assert!(error.contains("shop/cart") && error.contains("cart.json"), "{error}");
    write(&directory, "cart.json", &listed("other", "r1", ONE));
    following.missing("cart").await;
}

#[tokio::test]
async fn answers_that_are_no_content_and_files_that_are_too_large_fail() {
    let directory = tempfile::tempdir().unwrap();
    let options = WatchOptions { file_limit: 4_096, ..config(directory.path()).options };
    write(&directory, "cart.json", &listed("cart", "r1", ONE));
    let config = DirectoryConfig { options, ..config(directory.path()) };
    let mut following = follow(DirectoryRegistry::new(config).unwrap(), &["cart"]);
    following.hosts("cart", &["10.0.0.1"]).await;
    write(&directory, "cart.json", &" ".repeat(5_000));
    let error = following.failed("cart", "too-large").await.to_string();
    assert!(error.contains("cart.json") && error.contains("4096"), "{error}");
    write(&directory, "cart.json", &recorded("unchanged-200001"));
    following.failed("cart", "not-instances").await;
    write(&directory, "cart.json", &listed("cart", "r1", ONE));
    following.hosts("cart", &["10.0.0.1"]).await;
}
