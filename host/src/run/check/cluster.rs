//! Checks of the cluster: the API server and its clock, the CRD, istiod, the lease.

use std::time::Duration;

use axum::http::Request;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::api::Api;
use kube::client::Body;
use serde_json::Value;

use super::Finding;
use crate::entries::ask_version;
use crate::run::Config;

/// How long the API server may take to answer.
const WITHIN: Duration = Duration::from_secs(10);
/// A difference of clocks that is worth a word: times in the shared state and in the lease are of the clock on the wall.
const SKEW: i64 = 5;
const ISTIOD: &str = "/apis/apps/v1/deployments?labelSelector=app%3Distiod&limit=20";
const WEBHOOKS: &str =
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations?labelSelector=app%3Distiod&limit=20";

pub(super) async fn check<R>(client: &Client, config: &Config<R>) -> Vec<Finding> {
    let mut findings = vec![server(client).await];
    if findings[0].verdict == super::Verdict::Fail {
        return findings;
    }
    findings.push(clock(client).await);
    findings.push(match ask_version(client).await {
        Ok(Some(resource)) => Finding::ok("CRD", format!("ServiceEntry is served as {}", resource.api_version)),
        Ok(None) => Finding::fail(
            "CRD",
            "ServiceEntry is missing: install Istio's CRDs (istioctl install, or the chart istio/base)",
        ),
        Err(error) => Finding::fail("CRD", format!("the API server cannot be asked for it: {error}")),
    });
    findings.push(istiod(client).await);
    findings.push(webhook(client).await);
    findings.extend(lease(client, config).await);
    findings
}

async fn server(client: &Client) -> Finding {
    match tokio::time::timeout(WITHIN, client.apiserver_version()).await {
        Ok(Ok(version)) => Finding::ok("cluster", format!("the API server is Kubernetes {}", version.git_version)),
        Ok(Err(error)) => Finding::fail("cluster", format!("{error}; check the kubeconfig and the network")),
        Err(_) => {
            Finding::fail("cluster", format!("no answer within {WITHIN:?}; check the kubeconfig and the network"))
        }
    }
}

async fn clock(client: &Client) -> Finding {
    let Some(theirs) = date(client).await else {
        return Finding::warn("clock", "the API server does not say its time");
    };
    let skew = Timestamp::now().duration_since(theirs).as_secs();
    // Its time has no parts of a second.
    match skew.abs() > SKEW {
        false => Finding::ok("clock", format!("within {SKEW} s of the API server's")),
        true => Finding::warn(
            "clock",
            format!(
                "{skew} s ahead of the API server's: holds would end at another time after a restart; set it, by NTP"
            ),
        ),
    }
}

async fn date(client: &Client) -> Option<Timestamp> {
    let response = client.send(Request::get("/version").body(Body::empty()).ok()?).await.ok()?;
    let date = response.headers().get("date")?.to_str().ok()?;
    DateTimeParser::new().parse_timestamp(date).ok()
}

/// A list of objects; the reason if it is not to be had.
async fn list(client: &Client, path: &str) -> Result<Vec<Value>, String> {
    let request = Request::get(path).body(Vec::new()).map_err(|error| error.to_string())?;
    match client.request::<Value>(request).await {
        Ok(mut found) => Ok(found["items"].as_array_mut().map(std::mem::take).unwrap_or_default()),
        Err(kube::Error::Api(status)) if status.code == 403 => Err("this identity may not look, and needs not".into()),
        Err(error) => Err(error.to_string()),
    }
}

async fn istiod(client: &Client) -> Finding {
    match list(client, ISTIOD).await {
        Err(reason) => Finding::warn("istiod", format!("not seen: {reason}")),
        Ok(found) if found.is_empty() => {
            Finding::warn("istiod", "no Deployment with the label app=istiod; without one nothing reads the entries")
        }
        Ok(found) => {
            let image = |one: &Value| {
                let containers = one["spec"]["template"]["spec"]["containers"].as_array();
                containers.and_then(|all| all.first()?["image"].as_str().map(str::to_owned)).unwrap_or_default()
            };
            Finding::ok("istiod", found.iter().map(image).collect::<Vec<_>>().join(", "))
        }
    }
}

async fn webhook(client: &Client) -> Finding {
    match list(client, WEBHOOKS).await {
        Err(reason) => Finding::warn("webhook", format!("not seen: {reason}")),
        Ok(found) if found.is_empty() => Finding::ok("webhook", "istiod validates nothing here"),
        Ok(found) => {
            let names: Vec<_> = found.iter().filter_map(|one| one["metadata"]["name"].as_str()).collect();
            Finding::ok("webhook", format!("istiod validates by {}", names.join(", ")))
        }
    }
}

async fn lease<R>(client: &Client, config: &Config<R>) -> Option<Finding> {
    let election = config.election.as_ref()?;
    let api = Api::<Lease>::namespaced(client.clone(), &election.namespace);
    let title = format!("{}/{}", election.namespace, election.name);
    let spec = match api.get_opt(&election.name).await {
        Err(error) => return Some(Finding::fail("lease", format!("{title}: {error}"))),
        Ok(lease) => lease.and_then(|lease| lease.spec),
    };
    let holder = spec.as_ref().and_then(|spec| spec.holder_identity.clone()).filter(|holder| !holder.is_empty());
    let renewed = spec.and_then(|spec| spec.renew_time).map(|time| Timestamp::now().duration_since(time.0).as_secs());
    Some(match (holder, renewed) {
        (None, _) => Finding::ok("lease", format!("{title}: nobody holds it")),
        (Some(holder), Some(age)) if age > election.duration.as_secs() as i64 => Finding::warn(
            "lease",
            format!("{title}: {holder} holds it and renewed it {age} s ago; it is taken over by the next that starts"),
        ),
        (Some(holder), _) => Finding::ok("lease", format!("{title}: {holder} holds it")),
    })
}
