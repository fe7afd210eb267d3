//! A disk of a few pages that is full, so that what runs out of space is a real file system.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use polaris2istio_tests::servers::Directory;

/// A mount of its own. It goes when dropped.
pub(crate) struct Disk(Directory);

impl Disk {
    /// Whether one can be mounted, or why not.
    pub(crate) fn can_be() -> Result<(), &'static str> {
        let us = std::fs::metadata("/proc/self").map(|us| us.uid());
        if us.is_ok_and(|us| us == 0) { Ok(()) } else { Err("only root can mount a file system that is full") }
    }

    /// Mounts one and fills it.
    pub(crate) fn full(name: &str) -> Self {
        let disk = Self(Directory::new(name));
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(disk.path()).status();
        assert!(mounted.is_ok_and(|status| status.success()), "a tmpfs can be mounted");
        // More than there is room for: what fits is written before it fails.
        assert!(std::fs::write(disk.path().join("filler"), vec![0; 1 << 20]).is_err(), "it is full");
        disk
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Makes room.
    pub(crate) fn free(&self) {
        std::fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}
