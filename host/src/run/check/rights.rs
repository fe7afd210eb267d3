//! Whether this identity may do what a run does, by the API server's own word.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::Client;
use kube::api::{Api, PostParams};

use super::Finding;
use crate::dns::Mode;
use crate::run::{Config, StatePlace};

const SUBJECT: &str = "rights";

/// Verbs on a resource in a namespace.
struct Right {
    namespace: String,
    group: &'static str,
    resource: &'static str,
    subresource: Option<&'static str>,
    name: Option<String>,
    verbs: &'static [&'static str],
}

pub(super) async fn check<R>(client: &Client, config: &Config<R>) -> Vec<Finding> {
    let api = Api::<SelfSubjectAccessReview>::all(client.clone());
    let (mut missing, mut asked) = (Vec::new(), 0);
    for right in rights(config) {
        for verb in right.verbs {
            asked += 1;
            match api.create(&PostParams::default(), &right.review(verb)).await {
                Ok(review) if review.status.as_ref().is_some_and(|status| status.allowed) => {}
                Ok(_) => missing.push(format!("{verb} {}", right.words())),
                Err(error) => return vec![Finding::warn(SUBJECT, format!("the API server does not say: {error}"))],
            }
        }
    }
    if missing.is_empty() {
        return vec![Finding::ok(SUBJECT, format!("all {asked} that a run with these flags needs"))];
    }
    let fail = |right: String| {
        Finding::fail(
            SUBJECT,
            format!("this identity may not {right}; grant it by a Role, as the chart's templates do"),
        )
    };
    missing.into_iter().map(fail).collect()
}

fn rights<R>(config: &Config<R>) -> Vec<Right> {
    let entries = &config.namespace;
    let right = |namespace: &str, group, resource, verbs| Right {
        namespace: namespace.into(),
        group,
        resource,
        subresource: None,
        name: None,
        verbs,
    };
    let mut rights = vec![
        right(entries, "networking.istio.io", "serviceentries", &["list", "watch", "patch"][..]),
        right(entries, "events.k8s.io", "events", &["create", "patch"]),
    ];
    if let StatePlace::ConfigMap { namespace, name } = &config.state {
        rights.push(right(namespace, "", "configmaps", &["create"]));
        let verbs = &["get", "list", "watch", "update"];
        rights.push(Right { name: Some(name.clone()), ..right(namespace, "", "configmaps", verbs) });
    }
    if let Some(election) = &config.election {
        let group = "coordination.k8s.io";
        rights.push(right(&election.namespace, group, "leases", &["create"]));
        let name = Some(election.name.clone());
        rights.push(Right { name, ..right(&election.namespace, group, "leases", &["get", "update"]) });
    }
    if config.names.mode != Mode::Off {
        let verbs = &["get", "list", "watch", "create", "patch", "delete"];
        rights.push(right(entries, "", "services", verbs));
        rights.push(right(entries, "discovery.k8s.io", "endpointslices", verbs));
    }
    if config.policies.is_some() {
        let group = "polaris2istio.aeraki.net";
        rights.push(right(entries, group, "polarisimports", &["list", "watch", "patch"]));
        let status = right(entries, group, "polarisimports", &["patch"]);
        rights.push(Right { subresource: Some("status"), ..status });
        rights.push(right(entries, "networking.istio.io", "serviceentries", &["create", "delete"]));
    }
    if config.repair_vip {
        let status = right(entries, "networking.istio.io", "serviceentries", &["patch"]);
        rights.push(Right { subresource: Some("status"), ..status });
    }
    rights
}

impl Right {
    fn review(&self, verb: &str) -> SelfSubjectAccessReview {
        let attributes = ResourceAttributes {
            namespace: Some(self.namespace.clone()),
            group: Some(self.group.into()),
            resource: Some(self.resource.into()),
            subresource: self.subresource.map(Into::into),
            name: self.name.clone(),
            verb: Some(verb.into()),
            ..ResourceAttributes::default()
        };
        let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
        SelfSubjectAccessReview { spec, ..Default::default() }
    }

    fn words(&self) -> String {
        let subresource = self.subresource.map(|part| format!("/{part}")).unwrap_or_default();
        let name = self.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        format!("{}{subresource}{name} in namespace {}", self.resource, self.namespace)
    }
}
