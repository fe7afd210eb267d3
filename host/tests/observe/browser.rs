//! A real browser: Chromium without a window, with one page.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::controller::DEADLINE;

/// A browser with one page, spoken to by its DevTools protocol over a pipe.
pub struct Browser {
    child: Child,
    _profile: tempfile::TempDir,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: String,
    number: u64,
    /// The page's lines on the console, and its errors.
    pub console: Vec<String>,
}

impl Browser {
    /// `None` if there is none here, which is said; with POLARIS2ISTIO_REQUIRE_BROWSER=1, as in `tests/run`, that fails.
    pub fn open(url: &str) -> Option<Self> {
        let version = Command::new("chromium").arg("--version").output();
        if !version.is_ok_and(|output| output.status.success()) {
            missing("no Chromium here: tests/need-chromium");
            return None;
        }
        let profile = tempfile::tempdir().unwrap();
        let flags =
            "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --remote-debugging-pipe";
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec chromium {flags} --user-data-dir=\"$0\" 3<&0 4>&1 >/dev/null")])
            .arg(profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut browser =
            Self { child, _profile: profile, input, output, session: String::new(), number: 0, console: Vec::new() };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = browser.ask("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Runtime.enable", "Log.enable", "Page.enable"] {
            browser.ask(domain, json!({}));
        }
        browser.ask("Page.navigate", json!({"url": url}));
        Some(browser)
    }

    pub fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut message = json!({"id": self.number, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.input.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut bytes = Vec::new();
            assert!(self.output.read_until(0, &mut bytes).unwrap() > 0, "the browser ended");
            let said: Value =
                serde_json::from_slice(bytes.trim_ascii_end().strip_suffix(b"\0").unwrap_or(&bytes)).unwrap();
            if said["id"] == self.number {
                assert!(said["error"].is_null(), "{method}: {said}");
                return said["result"].clone();
            }
            if ["Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"]
                .iter()
                .any(|one| said["method"] == *one)
            {
                self.console.push(said["params"].to_string());
            }
        }
    }

    /// Waits until an expression gives this. Returns how long that took.
    pub fn until(&mut self, expression: &str, wanted: Value) -> Duration {
        let start = Instant::now();
        loop {
            let result = self.ask("Runtime.evaluate", json!({"expression": expression, "returnByValue": true}));
            let found = &result["result"]["value"];
            if *found == wanted {
                return start.elapsed();
            }
            assert!(start.elapsed() < DEADLINE, "{expression} is {wanted}, not {found}; console: {:?}", self.console);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Browser {
    /// The value of an expression, which may be a promise.
    pub fn value(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self.ask("Runtime.evaluate", asked);
        assert!(result["exceptionDetails"].is_null(), "{}: {result}", &expression[..expression.len().min(200)]);
        result["result"]["value"].clone()
    }

    /// Makes the page `light` or `dark`.
    pub fn scheme(&mut self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.ask("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// A picture of what is seen.
    pub fn picture(&mut self) -> Vec<u8> {
        let shot = self.ask("Page.captureScreenshot", json!({"format": "webp", "quality": 70}));
        decoded(shot["data"].as_str().unwrap())
    }
}

/// Says why a test checks nothing, or fails where it must check.
pub fn missing(reason: &str) {
    assert!(std::env::var_os("POLARIS2ISTIO_REQUIRE_BROWSER").is_none(), "{reason}");
    // Past the capture of the tests' output.
    let _ = writeln!(std::io::stderr(), "\nSKIPPED the page is not tried in a browser: {reason}");
}

/// Bytes out of base64.
fn decoded(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |byte: &u8| DIGITS.iter().position(|digit| digit == byte).unwrap() as u32;
    let mut bytes = Vec::new();
    for chunk in text.trim_end_matches('=').as_bytes().chunks(4) {
        let number = chunk.iter().fold(0, |number, byte| number << 6 | digit(byte)) << (6 * (4 - chunk.len()));
        bytes.extend_from_slice(&number.to_be_bytes()[1..chunk.len()]);
    }
    bytes
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
