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
use polaris2istio_tests::servers::{Directory, MeshBinaries, istioctl_validate, mesh_binaries};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::hostile;
use super::mesh::Mesh;
use super::report;

/// The number of entries that are applied with the webhook in force.
const APPLIED: usize = 500;
/// The number of entries that istioctl is asked about, and the variable that sets another.
const VALIDATED: (usize, &str) = (3000, "POLARIS2ISTIO_VALIDATED");
/// The number of entries in one file for istioctl, which holds all of a file in memory.
const BATCH: usize = 5000;
/// The number of answers that each of Istio's own entries is converted with.
const ANSWERS: usize = 20;

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
    let count = std::env::var(VALIDATED.1).map_or(VALIDATED.0, |count| count.parse().unwrap());
    let mut converted = generated().filter_map(|(entry, answer)| convert(&module, &entry, &answer)).take(count);
    let mut taken = 0;
    loop {
        let batch: Vec<_> = converted.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            break;
        }
        takes(binaries, &directory, &batch).await;
        taken += batch.len();
        report(&format!("{taken} generated answers taken by istioctl validate"));
    }
    assert_eq!(taken, count);
    refuses(binaries, &directory.write("bad.yaml", bad())).await;
}

async fn takes(binaries: &'static MeshBinaries, directory: &Directory, converted: &[(Document, Apply)]) {
    let text: Vec<_> = converted.iter().map(|(document, apply)| document.with(apply).to_string()).collect();
    let file = directory.write("entries.yaml", text.join("\n---\n"));
    istioctl_validate(binaries, &file).await.unwrap();
}

/// Whatever Istio itself holds for valid stays so, once it is bound to a service.
#[tokio::test]
async fn istios_own_entries_stay_valid() {
    let Some(binaries) = mesh_binaries() else { return };
    let (directory, module) = (Directory::new("own"), module());
    let own = Document::parse_all(include_bytes!("istio-entries.yaml"), "istio-entries.yaml").unwrap();
    let mut answers = generated().map(|(_, answer)| answer);
    let (mut converted, mut rejected) = (Vec::new(), 0);
    for document in &own {
        for answer in answers.by_ref().take(ANSWERS) {
            let mut entry = document.value.clone();
            entry["metadata"]["name"] = json!(format!("own-{}", converted.len()));
            entry["metadata"]["annotations"] =
                json!({"aeraki.net/polarisNamespace": "default", "aeraki.net/polarisService": "reviews"});
            match convert(&module, &entry, &answer) {
                Some(pair) => converted.push(pair),
                None => rejected += 1,
            }
        }
    }
    takes(binaries, &directory, &converted).await;
    report(&format!("Istio's own {} entries: {} conversions valid, {rejected} rejected", own.len(), converted.len()));
    assert!(own.len() > 60 && converted.len() > 1000, "{} of {}", converted.len(), own.len());
}

/// The oracle can say no.
async fn refuses(binaries: &'static MeshBinaries, file: &Path) {
    let error = istioctl_validate(binaries, file).await.unwrap_err();
    assert!(error.contains("01.2.3.4"), "{error}");
}

fn bad() -> String {
    json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "bad"},
           "spec": {"hosts": ["a.b"], "resolution": "STATIC", "ports": [{"name": "p", "number": 80, "protocol": "HTTP"}],
                    "endpoints": [{"address": "01.2.3.4"}]}})
    .to_string()
}
