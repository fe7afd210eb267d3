//! The page in a real browser, if the machine has Chromium: it comes to life, says nothing on the console, shows a change within
//! a second, and makes only the rows that are seen of thousands.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::controller::{Controller, DEADLINE, get};
use super::page::answer;

/// A browser with one page, spoken to by its DevTools protocol over a pipe.
struct Browser {
    child: Child,
    _profile: tempfile::TempDir,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: String,
    number: u64,
    /// The page's lines on the console, and its errors.
    console: Vec<String>,
}

impl Browser {
    /// `None` if there is none here.
    fn open(url: &str) -> Option<Self> {
        Command::new("chromium").arg("--version").output().ok().filter(|output| output.status.success())?;
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

    fn ask(&mut self, method: &str, parameters: Value) -> Value {
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
    fn until(&mut self, expression: &str, wanted: Value) -> Duration {
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

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As many as an unoptimised program reads within seconds.
const MANY: usize = 1_500;
const ROWS: &str = "document.querySelectorAll('#rows tr[aria-rowindex]').length";
const COUNT: &str = "document.getElementById('count').textContent";

fn started(entries: usize) -> Controller {
    let controller = Controller::start(entries, &[]);
    let start = Instant::now();
    while !get(controller.pages, "/status", "").1.contains(&format!("\"synced\": {entries}")) {
        assert!(start.elapsed() < DEADLINE * 3);
        std::thread::sleep(Duration::from_millis(50));
    }
    controller
}

#[test]
fn it_lives_and_says_nothing_on_the_console() {
    let controller = started(3);
    let Some(mut browser) = Browser::open(&format!("http://{}/?entry=polaris/service-1", controller.pages)) else {
        return eprintln!("skipped: no Chromium here");
    };
    browser.until(ROWS, json!(3));
    browser.until("document.querySelectorAll('#entry h2').length", json!(1));
    answer(&controller, "s1", &["10.0.0.1"]);
    // What is written is also in the list, and the server's part is asked for again.
    let one = "[...document.querySelectorAll('#rows td.number')].some((cell) => cell.textContent === '1')";
    let took = browser.until(one, json!(true));
    assert!(took < Duration::from_secs(5), "{took:?}");
    browser.until("document.querySelector('#entry').textContent.includes('10.0.0.1 http=80')", json!(true));
    browser.until("document.querySelectorAll('.registry svg').length > 0", json!(true));
    // Search, filter and sort.
    let typed = "{ const q = document.querySelector('#search [name=q]'); q.value = 'service-2'; q.dispatchEvent(new Event('input', {bubbles: true})); }";
    browser.ask("Runtime.evaluate", json!({"expression": typed}));
    browser.until(COUNT, json!("1 of 3"));
    assert_eq!(browser.console, [""; 0]);
}

#[test]
fn thousands_of_entries_are_a_few_rows() {
    let controller = started(MANY);
    let Some(mut browser) = Browser::open(&format!("http://{}/", controller.pages)) else {
        return eprintln!("skipped: no Chromium here");
    };
    browser.until(COUNT, json!(format!("{MANY} of {MANY}")));
    browser.until(&format!("{ROWS} > 10 && {ROWS} < 100"), json!(true));
    let end = "{ const list = document.getElementById('list'); list.scrollTop = list.scrollHeight; }";
    browser.ask("Runtime.evaluate", json!({"expression": end}));
    browser.until("document.querySelector('#rows').textContent.includes('service-999')", json!(true));
    browser.until(&format!("{ROWS} < 100"), json!(true));
    assert_eq!(browser.console, [""; 0]);
}
