//! Whatever a registry answers, istiod's webhook takes what is written.

use std::path::Path;

use kube::api::{Api, DynamicObject, PostParams};
use polaris2istio::converter::{Limits, LoadedModule};
use polaris2istio::entries::Document;
use polaris2istio::istio::{ServiceEntry, VERSIONS};
use polaris2istio::plan::{Apply, ApplyError, Desired, plan};
use polaris2istio::registry::{Content, decode_answer};
use polaris2istio::sink::{KubernetesSink, Sink};
use polaris2istio::source::ModuleBytes;
use polaris2istio_core::model::Verdict;
use polaris2istio_tests::servers::{Directory, istioctl_validate, mesh_binaries};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::hostile;
use super::mesh::Mesh;
use super::report;

/// The number of entries that are applied with the webhook in force.
const APPLIED: usize = 500;
/// The number of entries that istioctl is asked about.
const VALIDATED: usize = 3000;

/// Entries and answers as they should never be written, the same at every run.
fn generated() -> impl Iterator<Item = (Value, Value)> {
    let mut runner = TestRunner::deterministic();
    (0..).map(move |number: usize| {
        let answer = hostile::answer().new_tree(&mut runner).unwrap().current();
        let mut entry = hostile::entry().new_tree(&mut runner).unwrap().current();
        entry["metadata"]["name"] = json!(format!("reviews-{number}"));
        (entry, answer)
    })
}

fn module() -> LoadedModule {
    LoadedModule::new(&ModuleBytes::embedded(), Limits::default(), Vec::new()).unwrap()
}

/// An entry with the apply for it; `None` if the rules reject it or no write is needed.
fn convert(module: &LoadedModule, entry: &Value, answer: &Value) -> Option<(Document, Apply)> {
    let document = Document::parse_all(entry.to_string().as_bytes(), "entry").unwrap().remove(0);
    let answer = decode_answer(answer.to_string().as_bytes(), "answer").unwrap();
    let Content::Listed(service) = answer.content else { panic!("it lists instances") };
    let outcome = module.call(&service, &document.entry.view().unwrap(), None).unwrap();
    let Verdict::Update(update) = outcome.verdict else { return None };
    let desired = Desired::new(update, "default/reviews".into(), service.revision.clone());
    let apply = plan(&desired, &document.entry).apply?;
    Some((document, apply))
}

#[tokio::test]
async fn the_webhook_takes_what_is_written() {
    let Some(mesh) = Mesh::shared().await else { return };
    let (module, namespace) = (module(), mesh.api.create_namespace("validated").await);
    let entries: Api<DynamicObject> = mesh.api.service_entries(&namespace).await;
    let resource = ServiceEntry::resource(VERSIONS[0]);
    let sink = Sink::Kubernetes(Box::new(KubernetesSink::new(mesh.api.client().await, resource)));
    let (mut applied, mut refused) = (0, Vec::new());
    for (mut entry, answer) in generated() {
        entry["metadata"]["namespace"] = json!(namespace);
        let object = serde_json::from_value(entry).unwrap();
        let created = entries.create(&PostParams::default(), &object).await.unwrap();
        let Some((_, apply)) = convert(&module, &json!(created), &answer) else { continue };
        match sink.apply(&apply).await {
            Ok(_) => applied += 1,
            // istiod allocates an address meanwhile.
            Err(ApplyError::Stale) => continue,
            Err(error) => refused.push(format!("{error}: {}", apply.body())),
        }
        if applied + refused.len() == APPLIED {
            break;
        }
    }
    report(&format!("{applied} generated answers applied with istiod's webhook in force, {} refused", refused.len()));
    assert!(refused.is_empty(), "{refused:#?}");
}

#[tokio::test]
async fn istioctl_takes_thousands_more() {
    let Some(binaries) = mesh_binaries() else { return };
    let directory = Directory::new("validate");
    let module = module();
    let converted = generated().filter_map(|(entry, answer)| convert(&module, &entry, &answer)).take(VALIDATED);
    let text: Vec<_> = converted.map(|(document, apply)| document.with(&apply).to_string()).collect();
    let file = directory.write("entries.yaml", text.join("\n---\n"));
    istioctl_validate(binaries, &file).await.unwrap();
    report(&format!("{} generated answers taken by istioctl validate", text.len()));
    refuses(binaries, &directory.write("bad.yaml", bad())).await;
}

/// The oracle can say no.
async fn refuses(binaries: &'static polaris2istio_tests::servers::MeshBinaries, file: &Path) {
    let error = istioctl_validate(binaries, file).await.unwrap_err();
    assert!(error.contains("01.2.3.4"), "{error}");
}

fn bad() -> String {
    json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "bad"},
           "spec": {"hosts": ["a.b"], "resolution": "STATIC", "ports": [{"name": "p", "number": 80, "protocol": "HTTP"}],
                    "endpoints": [{"address": "01.2.3.4"}]}})
    .to_string()
}
