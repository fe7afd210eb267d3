//! Modules in files: every way in which a file can be no module, and every way to replace one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use polaris2istio::digest::Digest;
use polaris2istio::source::{Settings, Source, SourceNews, fetch, follow};
use tokio::time::timeout;

use crate::news::{SOON, failed, has, next};

/// Settings with a small limit.
pub(crate) fn settings() -> Settings {
    Settings { size_limit: 1000, settle: Duration::from_millis(20), ..Settings::default() }
}

/// Puts a file into place as careful writers do.
fn put(path: &Path, bytes: &[u8]) {
    let beside = path.with_extension("new");
    fs::write(&beside, bytes).unwrap();
    fs::rename(beside, path).unwrap();
}

#[tokio::test]
async fn what_is_no_module_is_told_with_a_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("good.wasm"), b"module").unwrap();
    fs::write(at("empty.wasm"), b"").unwrap();
    fs::write(at("large.wasm"), [0; 1001]).unwrap();
    fs::create_dir_all(at("folder")).unwrap();
    fs::create_dir_all(at("one")).unwrap();
    fs::write(at("one/a.wasm"), b"a").unwrap();
    fs::write(at("one/README"), b"").unwrap();
    fs::write(at("one/.a.wasm.swp"), b"").unwrap();
    symlink("nowhere", at("dangling.wasm")).unwrap();
    // Root may read what others may not, but no user can read this.
    symlink("/proc/self/mem", at("unreadable.wasm")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(at("pipe.wasm")).status().unwrap().success());
    let path = directory.path().display().to_string();
    let cases: [(String, Result<&[u8], &str>); 13] = [
        (format!("file:{path}/good.wasm"), Ok(b"module")),
        (format!("{path}/good.wasm"), Ok(b"module")),
        (format!("{path}/one"), Ok(b"a")),
        (format!("file:{path}/none.wasm"), Err("none.wasm: cannot be read: it does not exist; put it there")),
        (format!("file:{path}/dangling.wasm"), Err("it does not exist")),
        (format!("file:{path}/empty.wasm"), Err("it is empty")),
        (format!("file:{path}/large.wasm"), Err("1001 bytes, more than the 1000 allowed")),
        (
            format!("file:{path}/folder"),
            Err("it is a directory, not a file; name the file, or the directory as directory:PATH"),
        ),
        (format!("file:{path}/unreadable.wasm"), Err("unreadable.wasm: cannot be read: Input/output error")),
        (format!("file:{path}/pipe.wasm"), Err("not a regular file")),
        (
            format!("directory:{path}/good.wasm"),
            Err("it is not a directory; name the directory, or the file as file:PATH"),
        ),
        (format!("directory:{path}/folder"), Err("no file in it is named *.wasm")),
        (
            path.clone(),
            Err("dangling.wasm, empty.wasm, good.wasm, large.wasm, pipe.wasm, unreadable.wasm are there, and only one"),
        ),
    ];
    for (source, wanted) in cases {
        let source: Source = source.parse().unwrap();
        let found = fetch(&source, &settings()).await;
        let told = follow(source.clone(), settings()).next().await;
        match wanted {
            Ok(bytes) => {
                let candidate = found.unwrap();
                assert_eq!(candidate.bytes, bytes);
                assert_eq!(candidate.digest, Digest::of(bytes));
                assert!(candidate.origin.ends_with(".wasm"), "{}", candidate.origin);
                has(told, bytes);
            }
            Err(words) => {
                let text = found.unwrap_err().to_string();
                assert!(text.contains(words), "{source}: {text}");
                failed(told, words);
            }
        }
    }
}

#[tokio::test]
async fn the_embedded_module_comes_once() {
    let mut follower = follow(Source::Embedded, settings());
    let SourceNews::Module(candidate) = next(&mut follower).await else { panic!("a candidate") };
    assert_eq!(candidate, fetch(&Source::Embedded, &settings()).await.unwrap());
    assert_eq!(candidate.origin, "embedded");
    assert!(futures::FutureExt::now_or_never(follower.next()).is_none());
}

#[tokio::test]
async fn a_file_is_followed_through_all_that_befalls_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.wasm");
    fs::write(&path, b"one").unwrap();
    fs::write(directory.path().join("b.wasm"), b"of no interest").unwrap();
    let mut follower = follow(Source::File(path.clone()), settings());
    has(next(&mut follower).await, b"one");
    put(&path, b"two");
    has(next(&mut follower).await, b"two");
    fs::write(&path, b"three").unwrap();
    has(next(&mut follower).await, b"three");
    fs::remove_file(&path).unwrap();
    failed(next(&mut follower).await, "it does not exist");
    fs::create_dir(&path).unwrap();
    failed(next(&mut follower).await, "it is a directory");
    fs::remove_dir(&path).unwrap();
    put(&path, b"three");
    assert_eq!(next(&mut follower).await, SourceNews::Recovered);
    put(&path, &[0; 1001]);
    failed(next(&mut follower).await, "1001 bytes, more than the 1000 allowed");
    fs::remove_file(&path).unwrap();
    symlink("/proc/self/mem", &path).unwrap();
    failed(next(&mut follower).await, "Input/output error");
    put(&path, b"four");
    assert_eq!(next(&mut follower).await, SourceNews::Recovered);
    has(next(&mut follower).await, b"four");
    // The directory itself goes and comes.
    fs::remove_dir_all(directory.path()).unwrap();
    failed(next(&mut follower).await, "it does not exist");
    fs::create_dir(directory.path()).unwrap();
    put(&path, b"five");
    assert_eq!(next(&mut follower).await, SourceNews::Recovered);
    has(next(&mut follower).await, b"five");
}

#[tokio::test]
async fn a_file_that_is_being_written_is_never_half_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.wasm");
    fs::write(&path, b"one").unwrap();
    // Far more than a writer on a busy machine pauses.
    let settings = Settings { size_limit: 1 << 20, settle: Duration::from_secs(2), ..Settings::default() };
    let mut follower = follow(Source::File(path.clone()), settings);
    has(next(&mut follower).await, b"one");
    let whole = vec![7; 100_000];
    let mut pieces = whole.chunks(1000);
    let mut pace = tokio::time::interval(Duration::from_millis(5));
    fs::write(&path, b"").unwrap();
    // The follower looks at each piece, and is asked for news all the while.
    while let Some(piece) = pieces.next() {
        use std::io::Write;
        fs::File::options().append(true).open(&path).unwrap().write_all(piece).unwrap();
        tokio::select! {
            biased;
            news = follower.next() => panic!("too early: {news:?}, {} pieces to come", pieces.len()),
            _ = pace.tick() => {}
        }
    }
    has(next(&mut follower).await, &whole);
}

#[tokio::test]
async fn news_are_not_lost_by_those_who_stop_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.wasm");
    fs::write(&path, b"one").unwrap();
    let mut follower = follow(Source::File(path.clone()), settings());
    for module in [&b"one"[..], b"two", b"three"] {
        put(&path, module);
        let news = timeout(SOON, async {
            loop {
                if let Ok(news) = timeout(Duration::from_micros(100), follower.next()).await {
                    return news;
                }
            }
        });
        has(news.await.unwrap(), module);
    }
}
