//! A conversion module that misbehaves as it is told: by the entry [`BEHAVIOUR`] of the service's metadata or of its
//! parameters, or by what a test writes over [`VARIANT`] in the built module, which makes another module of it.
//!
//! It stands for what a user's own module may do, and knows the WIT world only.

mod misbehaviour;

/// The types of the world, generated.
#[allow(unsafe_code, clippy::all)]
pub mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "converter", pub_export_macro: true });
}

use bindings::exports::polaris2istio::conversion::conversion::{
    Endpoint, Failure, Guest, Instance, ModuleInfo, Outcome, Port, Request, Resolution, Update, Verdict,
};

/// The key that tells it what to do; without it, it converts as well as it can.
pub const BEHAVIOUR: &str = "behaviour";

/// The annotation that shows which module converted an entry.
pub const TAG: &str = "polaris2istio.aeraki.net/tag";

/// The text that a test may overwrite: a behaviour, or a name that begins with `tag-` and is written to the entries.
pub static VARIANT: [u8; 48] = *b"VARIANT:                                        ";

/// The module.
pub struct Misbehaving;

fn variant() -> String {
    let text = String::from_utf8_lossy(&std::hint::black_box(&VARIANT)[8..]).trim().to_owned();
    if text.is_empty() { "plain".into() } else { text }
}

impl Guest for Misbehaving {
    fn describe() -> ModuleInfo {
        if cfg!(feature = "mute") {
            misbehaviour::panic();
        }
        #[cfg(feature = "bulky")]
        misbehaviour::touch_bulk();
        let name = if variant() == "long-name" { "\x1b[2Jname\n".repeat(200_000) } else { "misbehaving".into() };
        ModuleInfo { name, version: "0.0.1".into(), summary: "Does as it is told.".into() }
    }

    fn convert(request: Request) -> Result<Outcome, Failure> {
        let told = request.service.metadata.iter().chain(&request.parameters).find(|(key, _)| key == BEHAVIOUR);
        let behaviour = told.map_or_else(variant, |(_, value)| value.clone());
        misbehaviour::behave(&behaviour, &request)
    }
}

/// One endpoint for each instance, at the service port `tcp`.
fn convert(request: &Request) -> Update {
    let endpoint = |(position, instance): (usize, &Instance)| Endpoint {
        address: instance.host.clone(),
        ports: vec![("tcp".into(), instance.port)],
        labels: Vec::new(),
        weight: instance.weight,
        locality: String::new(),
        service_account: None,
        network: None,
        instances: vec![position as u32],
    };
    let mut endpoints: Vec<_> = request.service.instances.iter().enumerate().map(endpoint).collect();
    endpoints.sort_by(|a, b| a.address.cmp(&b.address));
    let earlier = request.entry.ports.iter().find(|port| port.name == "tcp");
    let first = request.service.instances.first().map_or(1, |instance| instance.port);
    let number = earlier.map_or(first, |port| port.number);
    let port = Port { name: "tcp".into(), number, protocol: "TCP".into(), target_port: None };
    Update {
        resolution: Some(Resolution::Static),
        location: None,
        ports: vec![port],
        endpoints,
        annotations: variant().strip_prefix("tag-").map(|tag| (TAG.into(), tag.into())).into_iter().collect(),
        content_revision: None,
    }
}

fn update(update: Update) -> Outcome {
    Outcome { verdict: Verdict::Update(update), diagnostics: Vec::new() }
}

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code)]
mod export {
    crate::bindings::export!(Misbehaving with_types_in crate::bindings);
    use super::Misbehaving;
}
