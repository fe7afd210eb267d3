//! The page in a real browser, if the machine has Chromium: it comes to life, says nothing on the console, shows a change within
//! a second, makes only the rows that are seen of thousands, and can be used by everybody.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::browser::{Browser, missing};
use super::controller::{Controller, DEADLINE, entry, get};
use super::page::answer;

/// As many as an unoptimised program reads within seconds.
const MANY: usize = 1_500;
/// Milliseconds from the click to the first content.
const PAINTED: &str = "performance.getEntriesByName('first-contentful-paint')[0].startTime";
const ROWS: &str = "document.querySelectorAll('#rows tr[aria-rowindex]').length";
const COUNT: &str = "document.getElementById('count').textContent";

fn started(entries: usize) -> Controller {
    let controller = Controller::start(entries, &[]);
    let start = Instant::now();
    while !get(controller.pages, "/status", "").1.contains(&format!("\"synced\": {entries}")) {
        assert!(start.elapsed() < DEADLINE * (3 + u32::try_from(entries / 1000).unwrap()));
        std::thread::sleep(Duration::from_millis(50));
    }
    controller
}

#[test]
fn it_lives_and_says_nothing_on_the_console() {
    let controller = started(3);
    let url = format!("http://{}/?entry=polaris/service-1", controller.pages);
    let Some(mut browser) = Browser::open(&url) else { return };
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
    // More where somebody wants to know how long they take.
    let many = std::env::var("POLARIS2ISTIO_ENTRIES").map_or(MANY, |count| count.parse().unwrap());
    let controller = started(many);
    let Some(mut browser) = Browser::open(&format!("http://{}/", controller.pages)) else { return };
    browser.until(COUNT, json!(format!("{many} of {many}")));
    browser.until("performance.getEntriesByName('first-contentful-paint').length", json!(1));
    let painted = browser.value(PAINTED).as_f64().unwrap();
    let typed = "{ const q = document.querySelector('#search [name=q]'); q.value = 'service-77'; const begin = performance.now(); \
        q.dispatchEvent(new Event('input', {bubbles: true})); \
        new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - begin)))) }";
    let filtered = browser.value(typed).as_f64().unwrap();
    let found = (0..many).filter(|number| format!("service-{number}").contains("service-77")).count();
    browser.until(COUNT, json!(format!("{found} of {many}")));
    let figure = format!(
        "page: {many} entries, first view after {painted:.0} ms, filtered after {filtered:.0} ms (unoptimised)"
    );
    let _ = writeln!(std::io::stderr(), "\nFIGURE {figure}");
    assert!(painted < 10_000.0 && filtered < 5_000.0, "{figure}");
    browser.value("{ const q = document.querySelector('#search [name=q]'); q.value = ''; q.dispatchEvent(new Event('input', {bubbles: true})); }");
    browser.until(COUNT, json!(format!("{many} of {many}")));
    browser.until(&format!("{ROWS} > 10 && {ROWS} < 100"), json!(true));
    let end = "{ const list = document.getElementById('list'); list.scrollTop = list.scrollHeight; }";
    browser.ask("Runtime.evaluate", json!({"expression": end}));
    browser.until("document.querySelector('#rows').textContent.includes('service-999')", json!(true));
    browser.until(&format!("{ROWS} < 100"), json!(true));
    assert_eq!(browser.console, [""; 0]);
}

/// One entry of each kind of trouble, and one without.
fn troubled() -> Controller {
    let mut list: Vec<Value> = (0..6).map(entry).collect();
    list[1]["metadata"]["annotations"]["aeraki.net/paused"] = json!("true");
    list[2]["metadata"]["annotations"]["aeraki.net/external"] = json!("perhaps");
    let controller = Controller::start_with(list, &["--empty-hold=never"]);
    for service in ["s0", "s1", "s2", "s3", "s4"] {
        answer(&controller, service, &["10.0.0.1", "10.0.0.2", "10.0.0.9"]);
    }
    until_status(&controller, "\"endpoints\": 2");
    answer(&controller, "s3", &[]);
    until_status(&controller, "\"state\": \"held\"");
    controller
}

fn until_status(controller: &Controller, words: &str) {
    let start = Instant::now();
    while !get(controller.pages, "/status", "").1.contains(words) {
        assert!(start.elapsed() < DEADLINE, "{words}: {}", get(controller.pages, "/status", "").1);
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What axe-core has against the page: rule, element and why.
fn violations(browser: &mut Browser, axe: &str) -> Vec<String> {
    browser.value(&format!("{axe}; 0"));
    let run = "axe.run(document, {resultTypes: ['violations']}).then((found) => \
        (found.passes.some((one) => one.id === 'color-contrast') ? [] : ['no contrast was looked at']).concat(\
        found.violations.flatMap((one) => one.nodes.map((node) => \
        one.id + ' ' + node.html.slice(0, 200) + ' ' + node.failureSummary))))";
    let found = browser.value(run);
    found.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

#[test]
fn everybody_can_use_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let axe = Command::new(root.join("tests/axe")).output().unwrap();
    if !axe.status.success() {
        return missing(&String::from_utf8_lossy(&axe.stderr));
    }
    let axe = std::fs::read_to_string(String::from_utf8(axe.stdout).unwrap().trim()).unwrap();
    let controller = troubled();
    let Some(mut browser) = Browser::open("about:blank") else { return };
    let mut found = String::new();
    for path in ["/", "/?entry=polaris/service-3", "/?entry=polaris/service-2", "/?entry=polaris/none", "/?q=nothing"] {
        browser.ask("Page.navigate", json!({"url": format!("http://{}{path}", controller.pages)}));
        browser.until("document.querySelectorAll('#list button').length", json!(6));
        browser.until("document.readyState", json!("complete"));
        for scheme in ["light", "dark"] {
            browser.scheme(scheme);
            for violation in violations(&mut browser, &axe) {
                let _ = writeln!(found, "{path}, {scheme}: {violation}");
            }
        }
    }
    assert!(found.is_empty(), "{found}");
    assert_eq!(browser.console, [""; 0]);
}

/// The pictures of `deploy/docs/`: made anew by UPDATE_README=1, and else only there and small.
#[test]
fn pictures_of_the_page_are_small() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/docs/pictures");
    if std::env::var_os("UPDATE_README").is_some() {
        draw(&directory);
    }
    let sizes = PICTURES.map(|(name, ..)| std::fs::metadata(directory.join(format!("{name}.webp"))).unwrap().len());
    assert!(sizes.iter().sum::<u64>() < 600 << 10 && !sizes.contains(&0), "{sizes:?}");
}

/// The file, what is shown, and in which colours.
const PICTURES: [(&str, &str, &str); 4] = [
    ("problems", "/", "light"),
    ("problems-dark", "/", "dark"),
    ("held", "/?entry=polaris/service-3#entry", "light"),
    ("entries", "/#entries", "light"),
];

fn draw(directory: &Path) {
    let controller = troubled();
    let Some(mut browser) = Browser::open("about:blank") else { return };
    std::fs::create_dir_all(directory).unwrap();
    let size = json!({"width": 1100, "height": 760, "deviceScaleFactor": 1, "mobile": false});
    browser.ask("Emulation.setDeviceMetricsOverride", size);
    for (name, path, scheme) in PICTURES {
        browser.scheme(scheme);
        // From elsewhere, so that the page is loaded, and not only scrolled.
        browser.ask("Page.navigate", json!({"url": "about:blank"}));
        browser.ask("Page.navigate", json!({"url": format!("http://{}{path}", controller.pages)}));
        browser.until("document.querySelectorAll('#rows tr[aria-rowindex]').length", json!(6));
        browser.until("document.readyState", json!("complete"));
        std::fs::write(directory.join(format!("{name}.webp")), browser.picture()).unwrap();
    }
}
