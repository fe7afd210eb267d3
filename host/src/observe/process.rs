//! The costs of the process for the machine, under the names that all exporters have for it. Read from /proc when somebody asks;
//! where that is not there, the series are not.
//!
//! The crate procfs reads the same, but brings three crates and another feature of rustix, for which wasmtime is compiled anew.

use std::fmt;
use std::fs;
use std::path::Path;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Ticks a second in what Linux tells programs, on every architecture that we build for.
const TICKS: f64 = 100.0;

/// Reads /proc.
#[derive(Debug)]
pub(super) struct Process;

/// The figures of /proc.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Figures {
    cpu_seconds: f64,
    resident_bytes: i64,
    open_files: i64,
    max_files: i64,
    started: f64,
}

impl Figures {
    /// `None` if a file is not as Linux has it.
    fn read(proc: &Path) -> Option<Self> {
        let text = |file: &str| fs::read_to_string(proc.join(file)).ok();
        let stat = text("self/stat")?;
        // The program's name, in brackets, may have spaces and brackets in it. The third field comes after it.
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
        let booted: f64 = word(&text("stat")?, "btime")?.parse().ok()?;
        let resident: i64 = word(&text("self/status")?, "VmRSS:")?.parse().ok()?;
        let most = word(&text("self/limits")?, "Max open files")?.to_owned();
        Some(Self {
            cpu_seconds: (ticks(14)? + ticks(15)?) / TICKS,
            resident_bytes: resident * 1024,
            // One of them is the directory that is read.
            open_files: fs::read_dir(proc.join("self/fd")).ok()?.count() as i64 - 1,
            max_files: if most == "unlimited" { i64::MAX } else { most.parse().ok()? },
            started: booted + ticks(22)? / TICKS,
        })
    }
}

/// The first word after this, where a line begins so.
fn word<'a>(text: &'a str, title: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(title))?.split_whitespace().next()
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Some(figures) = Figures::read(Path::new("/proc")) else { return Ok(()) };
        let Figures { cpu_seconds, resident_bytes, open_files, max_files, started } = figures;
        let mut each = |name: &str, help: &str, unit: Option<&Unit>, metric: &dyn EncodeMetric| {
            metric.encode(encoder.encode_descriptor(name, help, unit, metric.metric_type())?)
        };
        let (seconds, bytes) = (Some(&Unit::Seconds), Some(&Unit::Bytes));
        each("process_cpu", "Processor time, of user and system.", seconds, &ConstCounter::new(cpu_seconds))?;
        each("process_resident_memory", "Memory in use.", bytes, &ConstGauge::new(resident_bytes))?;
        each("process_open_fds", "Open file descriptors.", None, &ConstGauge::new(open_files))?;
        each("process_max_fds", "File descriptors that may be open.", None, &ConstGauge::new(max_files))?;
        each("process_start_time", "When it was started, as Unix time.", seconds, &ConstGauge::new(started))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_linux_says() {
        let directory = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| fs::write(directory.path().join(file), text).unwrap();
        fs::create_dir_all(directory.path().join("self/fd")).unwrap();
        for descriptor in ["0", "1", "2", "3"] {
            write(&format!("self/fd/{descriptor}"), "");
        }
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1641 0 24 0 250 50 0 0 20 0 9 0 12345 2216 890 18446744073709551615";
        write("self/stat", stat);
        write("self/status", "Name:\ta) b\nVmHWM:\t   9000 kB\nVmRSS:\t    3480 kB\n");
        write("self/limits", "Limit    Soft Limit   Hard Limit  Units\nMax open files   1024    4096     files\n");
        write("stat", "cpu  1 2 3\nbtime 1700000000\nprocesses 9\n");
        let mut figures = Figures {
            cpu_seconds: 3.0,
            resident_bytes: 3480 * 1024,
            open_files: 3,
            max_files: 1024,
            started: 1_700_000_123.45,
        };
        assert_eq!(Figures::read(directory.path()), Some(figures));
        write("self/limits", "Max open files  unlimited  unlimited files\n");
        figures.max_files = i64::MAX;
        assert_eq!(Figures::read(directory.path()), Some(figures));
        write("self/stat", "nothing of the kind");
        assert_eq!(Figures::read(directory.path()), None);
    }
}
