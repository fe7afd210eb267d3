//! The cost of a conversion, natively and in the sandbox, measured in turn in one run, since machines are noisy.
//!
//! `cargo bench -p polaris2istio-tests --bench convert`
#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark may fail loudly")]

use std::time::{Duration, Instant};

use polaris2istio::converter::{Limits, LoadedModule};
use polaris2istio::source::ModuleBytes;
use polaris2istio_core::model::{Entry, Instance, Location, Request, Service, Verdict};

/// Rounds of which the median counts.
const ROUNDS: usize = 31;

fn main() {
    let start = Instant::now();
    let module = LoadedModule::new(&ModuleBytes::embedded(), Limits::default(), Vec::new()).unwrap();
    println!("load, check and compile the embedded module: {} ms", start.elapsed().as_millis());
    println!(
        "{:>9}  {:>12}  {:>12}  {:>12}  {:>6}  {:>9}",
        "instances", "native", "component", "unchanged", "ratio", "us/inst."
    );
    for count in [0, 10, 20, 100, 1000, 4000] {
        let request = request(count);
        let published = match polaris2istio_core::convert(&request).unwrap().verdict {
            Verdict::Update(update) => update.content_revision,
            other => panic!("{other:?}"),
        };
        let repeat = (20_000 / (count + 10)).max(1);
        let (mut native, mut component, mut unchanged) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            native.push(time(repeat, || drop(polaris2istio_core::convert(&request).unwrap())));
            component.push(time(repeat, || drop(module.call(&request.service, &request.entry, None).unwrap())));
            unchanged.push(time(repeat, || {
                drop(module.call(&request.service, &request.entry, published.as_deref()).unwrap())
            }));
        }
        let (native, component, unchanged) = (median(native), median(component), median(unchanged));
        let ratio = component.as_secs_f64() / native.as_secs_f64();
        let each = component.as_secs_f64() * 1e6 / count.max(1) as f64;
        println!("{count:>9}  {native:>12.1?}  {component:>12.1?}  {unchanged:>12.1?}  {ratio:>6.2}  {each:>9.2}");
    }
}

fn time(repeat: usize, work: impl Fn()) -> Duration {
    let start = Instant::now();
    (0..repeat).for_each(|_| work());
    start.elapsed() / repeat as u32
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// A service of that many instances with four metadata entries each, and an entry that declares its port.
fn request(count: usize) -> Request {
    let pairs = |list: &[(&str, &str)]| list.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    let instance = |number: usize| Instance {
        id: format!("{number:040x}"),
        host: format!("10.{}.{}.{}", number / 62_500, number / 250 % 250, number % 250 + 1),
        port: 8080,
        protocol: "http".into(),
        version: "v1".into(),
        weight: 100,
        priority: 0,
        healthy: true,
        isolated: false,
        location: Location { region: "ap-guangzhou".into(), zone: "ap-guangzhou-3".into(), campus: "campus-a".into() },
        metadata: pairs(&[("env", "prod"), ("protocol", "http"), ("team", "orders"), ("version", "v1")]),
    };
    Request {
        service: Service {
            namespace: "default".into(),
            name: "reviews".into(),
            revision: "r1".into(),
            metadata: Vec::new(),
            instances: (0..count).map(instance).collect(),
        },
        entry: Entry {
            namespace: "polaris".into(),
            name: "reviews".into(),
            labels: pairs(&[("manager", "aeraki"), ("registry", "polaris")]),
            annotations: pairs(&[("aeraki.net/polarisNamespace", "default"), ("aeraki.net/polarisService", "reviews")]),
            hosts: vec!["dev.reviews.polaris".into()],
            addresses: Vec::new(),
            location: None,
            resolution: Some(polaris2istio_core::model::Resolution::Static),
            export_to: Vec::new(),
            has_workload_selector: false,
            ports: vec![polaris2istio_core::model::EntryPort {
                name: "http".into(),
                number: 80,
                protocol: "HTTP".into(),
                target_port: None,
                declared_by: polaris2istio_core::model::Declarer::Other,
            }],
        },
        parameters: Vec::new(),
        published: None,
    }
}
