//! The page: what it holds, that what others wrote is text in it, and that changes come by the stream.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::{Value, json};

use super::controller::{Controller, DEADLINE, entry, get, get_whole};

const EVIL: &str = "<script>alert(1)</script>\"onload='x'";

/// Waits until the page says this.
fn until(controller: &Controller, path: &str, words: &str) -> String {
    let start = Instant::now();
    loop {
        let (code, page) = get(controller.pages, path, "");
        if code == 200 && page.contains(words) {
            return page;
        }
        assert!(start.elapsed() < DEADLINE, "{path} has `{words}`: {code} {page}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Gives the registry's answer for a service of an entry of the fixture.
pub fn answer(controller: &Controller, service: &str, hosts: &[&str]) {
    let instance = |(number, host): (usize, &&str)| {
        json!({"id": format!("{number}"), "host": host, "port": 80, "protocol": "http", "weight": 100, "healthy": true,
               "isolate": *host == "10.0.0.9"})
    };
    let list: Vec<_> = hosts.iter().enumerate().map(instance).collect();
    let answer = json!({"code": 200000, "service": {"namespace": "default", "name": service, "revision": format!("{hosts:?}")},
                        "instances": list});
    let directory = controller.directory.path().join("answers");
    std::fs::write(directory.join(".unfinished"), answer.to_string()).unwrap();
    std::fs::rename(directory.join(".unfinished"), directory.join(format!("{service}.json"))).unwrap();
}

#[test]
fn a_page_of_our_own_files_alone() {
    let controller = Controller::start(3, &[]);
    until(&controller, "/", "polaris/service-2");
    let (head, page) = get_whole(controller.pages, "/", "");
    let policy = head.lines().find_map(|line| line.strip_prefix("content-security-policy: ")).unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    for header in
        ["content-type: text/html; charset=utf-8", "x-content-type-options: nosniff", "cache-control: no-store"]
    {
        assert!(head.contains(header), "{header} in {head}");
    }
    // The policy lets nothing inline through, so there is none.
    assert_eq!(page.matches("<script").count(), 1, "{page}");
    assert!(
        page.contains("<script src=\"page.js\" defer></script>")
            && !page.contains("style=\"")
            && !page.contains("http")
    );
    for (file, kind) in [("page.js", "text/javascript"), ("page.css", "text/css"), ("icon.svg", "image/svg+xml")] {
        let (head, body) = get_whole(controller.pages, &format!("/{file}"), "");
        assert!(head.starts_with("http/1.1 200") && head.contains(kind) && !body.is_empty(), "{file}: {head}");
    }
    let (_, script) = get(controller.pages, "/page.js", "");
    for markup in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
        assert!(!script.contains(markup), "{markup}");
    }
}

#[test]
fn what_others_wrote_is_text() {
    let mut evil = entry(0);
    evil["metadata"]["annotations"]["aeraki.net/polarisService"] = json!(EVIL);
    evil["metadata"]["annotations"]["aeraki.net/external"] = json!(EVIL);
    let controller = Controller::start_with(vec![evil, entry(1)], &[]);
    let paths = ["/", "/?entry=polaris/service-0", "/?q=%3Cscript%3E%22", "/?entry=%3Cscript%3E%22&state=%3Cscript%3E"];
    until(&controller, "/", "&lt;script&gt;alert(1)");
    for path in paths {
        let (code, page) = get(controller.pages, path, "");
        assert_eq!(code, 200, "{path}");
        assert!(page.contains("&lt;script&gt;"), "{path}: {page}");
        let rest = page.replacen("<script src=\"page.js\" defer></script>", "", 1);
        assert!(!rest.contains("<script") && !rest.contains("onload='"), "{path}: {page}");
    }
}

#[test]
fn an_entry_is_explained() {
    let controller = Controller::start(2, &[]);
    answer(&controller, "s0", &["10.0.0.1", "10.0.0.9"]);
    let page = until(&controller, "/?entry=polaris/service-0", "10.0.0.1 http=80 weight 100</td><td>yes");
    for words in
        ["10.0.0.9:80", "instance-isolated", "Last changes of this entry", "explain polaris/service-0", "left out"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    let (_, explained) = get(controller.pages, "/explain?entry=polaris%2Fservice-0", "");
    let explained: Value = serde_json::from_str(&explained).unwrap();
    assert_eq!(explained["status"]["state"], "synced");
    let (_, history) = get(controller.pages, "/history?entry=polaris/service-0", "");
    let history: Value = serde_json::from_str(&history).unwrap();
    assert_eq!(
        (&history[0]["kind"], history[0]["cause"].as_str().unwrap().contains("default/s0")),
        (&json!("write"), true)
    );
    let (code, problem) = get(controller.pages, "/explain?entry=polaris/service-00", "");
    assert!(code == 404 && problem.contains("did you mean polaris/service-0?"), "{code} {problem}");
    // The list without JavaScript.
    let page = until(&controller, "/?q=S1&state=", "1 of 2");
    assert!(page.contains("polaris/service-1") && page.contains("value=\"s1\""), "{page}");
}

#[test]
fn changes_come_by_the_stream() {
    let controller = Controller::start(2, &[]);
    until(&controller, "/", "polaris/service-1");
    let mut stream = TcpStream::connect(controller.pages).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(b"GET /events HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.by_ref().take_while(|line| !line.is_empty()).any(|line| line.contains("text/event-stream")));
    lines.by_ref().find(|line| line == "event: hello").unwrap();
    answer(&controller, "s1", &["10.0.0.1"]);
    let start = Instant::now();
    let data = loop {
        let line = lines.next().unwrap();
        let data = line.strip_prefix("data: ").and_then(|data| serde_json::from_str::<Value>(data).ok());
        if let Some(entry) = data.filter(|data| data[0]["state"] == "synced") {
            break entry;
        }
        assert!(start.elapsed() < DEADLINE);
    };
    assert_eq!((&data[0]["entry"], &data[0]["endpoints"].as_u64().is_some()), (&json!("polaris/service-1"), &true));
}
