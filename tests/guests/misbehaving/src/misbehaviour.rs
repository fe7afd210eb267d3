//! Everything that can go wrong in a module, one behaviour each.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::bindings::exports::polaris2istio::conversion::conversion::{
    Diagnostic, Failure, Outcome, Request, Severity, Subject, Update, Verdict,
};

/// Does what is asked for; converts where it is nothing.
pub(crate) fn behave(behaviour: &str, request: &Request) -> Result<Outcome, Failure> {
    let changed = |change: &dyn Fn(&mut Update)| {
        let mut update = crate::convert(request);
        change(&mut update);
        Ok(crate::update(update))
    };
    match behaviour {
        "plain" => changed(&|_| {}),
        tag if tag.starts_with("tag-") => changed(&|_| {}),
        "panic" => panic(),
        "loop" => spin(),
        "allocate" => allocate(),
        "recurse" => say(recurse(u64::MAX).to_string()),
        "long-output" => say("x".repeat(40 << 20)),
        "many-outputs" => changed(&|update| update.annotations = vec![Default::default(); 1 << 20]),
        "not-text" => say(not_text()),
        "fail" => Err(Failure { message: "told to fail".into() }),
        "unchanged" => Ok(Outcome { verdict: Verdict::Unchanged, diagnostics: Vec::new() }),
        "forbidden-address" => changed(&|update| first(update).address = "169.254.169.254".into()),
        "empty" => changed(&|update| update.endpoints.clear()),
        "reject" => say("told to reject".into()),
        // It never says `unchanged`, and gives another weight to those who know what it gave before.
        "two-faced" => changed(&|update| {
            update.content_revision = Some("mine".into());
            if request.published.is_some() {
                update.endpoints.iter_mut().for_each(|endpoint| endpoint.weight += 1);
            }
        }),
        // Well, until there is an instance at this address.
        "panic-at-10.0.66.6" if request.service.instances.iter().any(|instance| instance.host == "10.0.66.6") => {
            panic()
        }
        "panic-at-10.0.66.6" => changed(&|_| {}),
        "weight-zero" => changed(&|update| first(update).weight = 0),
        "foreign-annotation" => {
            changed(&|update| update.annotations.push(("aeraki.net/polarisService".into(), "other".into())))
        }
        "heavy" => changed(&|update| update.endpoints.iter_mut().for_each(|endpoint| endpoint.weight = 1_000_000)),
        "invent" => changed(&|update| {
            let invented = crate::Endpoint { address: "203.0.113.1".into(), ..first(update).clone() };
            update.endpoints.push(invented);
        }),
        "other-port" => changed(&|update| update.ports[0].number = 9_999),
        "unknown-port" => changed(&|update| first(update).ports = vec![("nowhere".into(), 1)]),
        "drop-half" => changed(&|update| update.endpoints.truncate(update.endpoints.len() / 2)),
        "many-words" => changed(&|_| {}).map(|outcome| Outcome { diagnostics: vec![long(1_000); 10_000], ..outcome }),
        "long-words" => changed(&|_| {}).map(|outcome| Outcome { diagnostics: vec![long(9 << 20)], ..outcome }),
        "long-failure" => Err(Failure { message: long(9 << 20).message }),
        "long-name" => changed(&|_| {}),
        "count" => say(count().to_string()),
        "echo" => echo(&format!("{request:?}")),
        other => Err(Failure { message: format!("no behaviour is called {other}") }),
    }
}

/// A trap: the guest aborts on panic.
#[allow(clippy::panic, reason = "what this module is for")]
pub(crate) fn panic() -> ! {
    panic!("told to panic")
}

fn spin() -> ! {
    loop {
        black_box(());
    }
}

fn allocate() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

fn recurse(depth: u64) -> u64 {
    if depth == 0 { 0 } else { black_box(recurse(black_box(depth - 1))) + 1 }
}

#[allow(unsafe_code, reason = "what this module is for")]
fn not_text() -> String {
    // SAFETY: none is claimed. The host is to find out, and nothing here looks at the text.
    unsafe { String::from_utf8_unchecked(vec![0xff]) }
}

/// How often this was called in this instance.
fn count() -> u32 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    CALLS.fetch_add(1, Ordering::Relaxed) + 1
}

fn first(update: &mut Update) -> &mut crate::Endpoint {
    &mut update.endpoints[0]
}

/// A text in parts: a long one is cut by the host.
fn echo(text: &str) -> Result<Outcome, Failure> {
    let characters: Vec<_> = text.chars().collect();
    let parts = characters.chunks(900).map(|part| say(part.iter().collect()));
    let diagnostics = parts.flatten().flat_map(|outcome| outcome.diagnostics).collect();
    Ok(Outcome { verdict: Verdict::Rejected, diagnostics })
}

/// A warning of this length, with what a terminal would obey.
fn long(length: usize) -> Diagnostic {
    Diagnostic {
        severity: Severity::Warning,
        code: "long".into(),
        subject: Subject::Instance(0),
        message: "\x1b[2J\nERROR ".repeat(length / 11),
        remedy: String::new(),
    }
}

/// An outcome that says something, and nothing else.
fn say(message: String) -> Result<Outcome, Failure> {
    let diagnostic = Diagnostic {
        severity: Severity::Info,
        code: "said".into(),
        subject: Subject::Service,
        message,
        remedy: String::new(),
    };
    Ok(Outcome { verdict: Verdict::Rejected, diagnostics: vec![diagnostic] })
}

/// More than the default cap of 64 MiB, in the module's data from the start.
#[cfg(feature = "bulky")]
static BULK: [std::sync::atomic::AtomicU8; 70 << 20] = [const { std::sync::atomic::AtomicU8::new(0) }; 70 << 20];

#[cfg(feature = "bulky")]
pub(crate) fn touch_bulk() {
    black_box(&BULK)[black_box(1)].store(1, Ordering::Relaxed);
}
