//! Modules from registries, kept over a restart in a directory such as an emptyDir.
//!
//! ```text
//! modules/<digest>.wasm     the components
//! manifests/<digest>.json   the manifests that named them
//! signatures/<digest>.json  what proves that a manifest is signed, if that is asked for
//! tags/<digest of the reference>   which manifest a tag meant when it was last resolved
//! ```
//!
//! Nothing is believed for being there: every content is compared with its digest when it is read, from the pinned digest or
//! the tag's record down to the component, and a signature is checked anew by the key. Files are renamed into place, so a
//! crash leaves no half of one, and the twelve last used of each kind stay.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Reference;
use crate::digest::Digest;

/// The number of each kind that stays: the active module, the ten before it that can be gone back to, and a candidate.
const KEPT: usize = 12;

/// No manifest and no tag's record is larger.
const RECORD_LIMIT: u64 = 1 << 20;

const MODULES: &str = "modules";
const MANIFESTS: &str = "manifests";
const SIGNATURES: &str = "signatures";
const TAGS: &str = "tags";
const UNFINISHED: &str = ".unfinished-";

/// A directory of modules by digest.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
}

impl Cache {
    /// Opens a cache, and makes its directory if there is none. It has one writer: files that an earlier process left
    /// unfinished are removed.
    ///
    /// # Errors
    ///
    /// The directory cannot be made.
    pub fn open(directory: &Path) -> io::Result<Self> {
        for kind in [MODULES, MANIFESTS, SIGNATURES, TAGS] {
            let directory = directory.join(kind);
            fs::create_dir_all(&directory)?;
            for entry in fs::read_dir(&directory)? {
                let entry = entry?;
                if entry.file_name().to_str().is_some_and(|name| name.starts_with(UNFINISHED)) {
                    // A file that cannot be removed does no harm.
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
        Ok(Self { directory: directory.into() })
    }

    /// A module; `None` if it is missing, not whole, or of more than `limit` bytes.
    pub fn module(&self, digest: Digest, limit: u64) -> Option<Vec<u8>> {
        read(&self.module_path(digest), digest, limit)
    }

    /// Keeps a module.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn keep_module(&self, digest: Digest, bytes: &[u8]) -> io::Result<()> {
        self.keep(&self.module_path(digest), bytes)
    }

    pub(super) fn manifest(&self, digest: Digest) -> Option<Vec<u8>> {
        read(&self.manifest_path(digest), digest, RECORD_LIMIT)
    }

    pub(super) fn keep_manifest(&self, digest: Digest, bytes: &[u8]) -> io::Result<()> {
        self.keep(&self.manifest_path(digest), bytes)
    }

    /// The kept signature of a manifest.
    pub(super) fn signature(&self, manifest: Digest) -> Option<Vec<u8>> {
        bounded(&self.signature_path(manifest), RECORD_LIMIT).ok()
    }

    pub(super) fn keep_signature(&self, manifest: Digest, text: &[u8]) -> io::Result<()> {
        self.keep(&self.signature_path(manifest), text)
    }

    /// The manifest that a reference by tag was last resolved to.
    pub(super) fn resolved(&self, reference: &Reference) -> Option<Digest> {
        let record = bounded(&self.tag_path(reference), RECORD_LIMIT).ok()?;
        let record = String::from_utf8(record).ok()?;
        let (name, digest) = record.trim_end().split_once(' ')?;
        if name == reference.to_string() { digest.parse().ok() } else { None }
    }

    pub(super) fn keep_resolved(&self, reference: &Reference, manifest: Digest) -> io::Result<()> {
        self.keep(&self.tag_path(reference), format!("{reference} {manifest}\n").as_bytes())
    }

    fn module_path(&self, digest: Digest) -> PathBuf {
        self.directory.join(MODULES).join(format!("{}.wasm", digest.hex()))
    }

    fn manifest_path(&self, digest: Digest) -> PathBuf {
        self.directory.join(MANIFESTS).join(format!("{}.json", digest.hex()))
    }

    fn signature_path(&self, manifest: Digest) -> PathBuf {
        self.directory.join(SIGNATURES).join(format!("{}.json", manifest.hex()))
    }

    fn tag_path(&self, reference: &Reference) -> PathBuf {
        self.directory.join(TAGS).join(Digest::of(reference.to_string().as_bytes()).hex())
    }

    fn keep(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let directory = path.parent().unwrap_or(&self.directory);
        let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(directory)?;
        file.write_all(bytes)?;
        file.persist(path).map(drop).map_err(|error| error.error)?;
        prune(directory)
    }
}

/// Reads a content and compares it with its digest. A file that differs is removed.
fn read(path: &Path, digest: Digest, limit: u64) -> Option<Vec<u8>> {
    let bytes = bounded(path, limit).ok()?;
    if bytes.len() as u64 > limit {
        // Too large for this caller; another one may allow more, so the file stays.
        return None;
    }
    if Digest::of(&bytes) == digest {
        // If the time of use cannot be noted, the time of writing counts.
        let _ = File::options().append(true).open(path).and_then(|file| file.set_modified(SystemTime::now()));
        return Some(bytes);
    }
    // A file that cannot be removed is compared again next time.
    let _ = fs::remove_file(path);
    None
}

fn bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Removes all but the last used.
fn prune(directory: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    files.sort_by(|(a, _), (b, _)| b.cmp(a));
    files.into_iter().skip(KEPT).try_for_each(|(_, path)| fs::remove_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 1000;

    fn cache() -> (tempfile::TempDir, Cache) {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(&directory.path().join("made")).unwrap();
        (directory, cache)
    }

    fn keep(cache: &Cache, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        cache.keep_module(digest, bytes).unwrap();
        digest
    }

    #[test]
    fn a_module_is_read_as_it_was_kept() {
        let (_directory, cache) = cache();
        let digest = keep(&cache, b"module");
        assert_eq!(cache.module(digest, LIMIT).unwrap(), b"module");
        assert_eq!(cache.module(digest, 6).unwrap(), b"module");
        assert_eq!(cache.module(digest, 5), None);
        // The limit of one caller does not bind another.
        assert!(cache.module(digest, LIMIT).is_some());
        assert_eq!(cache.module(Digest::of(b"other"), LIMIT), None);
    }

    #[test]
    fn what_was_altered_is_not_believed() {
        let (_directory, cache) = cache();
        let digest = keep(&cache, b"module");
        fs::write(cache.module_path(digest), b"modulf").unwrap();
        assert_eq!(cache.module(digest, LIMIT), None);
        assert!(!cache.module_path(digest).exists());
    }

    #[test]
    fn a_tag_is_kept_for_its_reference_alone() {
        let (_directory, cache) = cache();
        let [a, b]: [Reference; 2] = ["host/a:v1", "host/b:v1"].map(|text| text.parse().unwrap());
        let digest = Digest::of(b"manifest");
        cache.keep_resolved(&a, digest).unwrap();
        assert_eq!(cache.resolved(&a), Some(digest));
        assert_eq!(cache.resolved(&b), None);
        fs::rename(cache.tag_path(&a), cache.tag_path(&b)).unwrap();
        assert_eq!(cache.resolved(&b), None);
    }

    #[test]
    fn the_last_used_stay() {
        let (_directory, cache) = cache();
        let digests: Vec<_> = (0..KEPT as u8).map(|number| keep(&cache, &[number])).collect();
        for (age, digest) in digests.iter().enumerate() {
            let file = File::options().append(true).open(cache.module_path(*digest)).unwrap();
            let long_ago = SystemTime::now() - std::time::Duration::from_secs(100 - age as u64);
            file.set_modified(long_ago).unwrap();
        }
        assert!(cache.module(digests[0], LIMIT).is_some());
        keep(&cache, b"one more");
        assert!(cache.module(digests[0], LIMIT).is_some());
        assert!(cache.module(digests[1], LIMIT).is_none());
        assert_eq!(fs::read_dir(cache.directory.join(MODULES)).unwrap().count(), KEPT);
    }

    #[test]
    fn what_a_crash_left_is_swept() {
        let (_directory, cache) = cache();
        let left = cache.directory.join(MODULES).join(format!("{UNFINISHED}x"));
        fs::write(&left, "half").unwrap();
        Cache::open(&cache.directory).unwrap();
        assert!(!left.exists());
    }
}
