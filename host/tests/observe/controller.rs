//! A controller as a process, over directories, with its two addresses.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// How long anything may take before a test fails; far more than it takes.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A controller at work; it ends with the value.
pub struct Controller {
    child: Child,
    pub directory: tempfile::TempDir,
    pub pages: SocketAddr,
    pub probes: SocketAddr,
}

impl Controller {
    /// With so many entries, none of which the registry answers for.
    pub fn start(entries: usize, flags: &[&str]) -> Self {
        Self::start_with((0..entries).map(entry).collect(), flags)
    }

    /// With these entries.
    pub fn start_with(list: Vec<Value>, flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        ["answers", "entries", "out"].iter().for_each(|name| std::fs::create_dir(path(name)).unwrap());
        std::fs::write(
            path("entries/all.json"),
            json!({"apiVersion": "v1", "kind": "List", "items": list}).to_string(),
        )
        .unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_polaris2istio"))
            .args(["--log-format=json", "--http-address=127.0.0.1:0", "--probe-address=127.0.0.1:0"])
            .args(flags)
            .args(["--answers".as_ref(), path("answers").as_os_str()])
            .args(["--entries".as_ref(), path("entries").as_os_str()])
            .args(["--output".as_ref(), path("out").as_os_str()])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut found = [None, None];
        while found.contains(&None) {
            let line: Value = serde_json::from_str(&log.next().expect("it goes on").unwrap()).unwrap();
            for (place, field) in found.iter_mut().zip(["address", "probes"]) {
                *place = place.or(line["fields"][field].as_str().map(|address| address.parse().unwrap()));
            }
        }
        // What it says further is read, so that it can say it.
        std::thread::spawn(move || log.count());
        let [pages, probes] = found.map(Option::unwrap);
        Self { child, directory, pages, probes }
    }

    /// The memory that it takes, in MiB.
    pub fn memory(&self) -> u64 {
        let status =
            std::fs::read_to_string(Path::new("/proc").join(self.child.id().to_string()).join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks for a page. Returns the code and the text.
pub fn get(address: SocketAddr, path: &str, header: &str) -> (u16, String) {
    let (head, body) = get_whole(address, path, header);
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
}

/// The same with the whole head, in lower case.
pub fn get_whole(address: SocketAddr, path: &str, header: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{header}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (head.to_lowercase(), body.into())
}

pub fn entry(number: usize) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": {"name": format!("service-{number}"), "namespace": "polaris",
            "labels": {"manager": "aeraki", "registry": "polaris"},
            "annotations": {"aeraki.net/polarisNamespace": "default", "aeraki.net/polarisService": format!("s{number}")}},
        "spec": {"hosts": [format!("s{number}.polaris")], "resolution": "STATIC",
            "ports": [{"name": "http", "number": 80, "protocol": "HTTP"}]},
    })
}
