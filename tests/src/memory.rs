//! The memory of a process, as Linux counts it.

/// In KiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub resident: u64,
    /// The most that was resident at once.
    pub peak: u64,
}

/// The memory of a process now; `None` if there is no such process any more. Source: `VmRSS` and `VmHWM` of proc(5).
pub fn memory(process: u32) -> Option<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let size = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.trim().parse().ok()
    };
    Some(Memory { resident: size("VmRSS:")?, peak: size("VmHWM:")? })
}
