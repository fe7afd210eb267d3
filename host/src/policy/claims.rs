//! Who has which name and host: entries that are there, and those that policies are about to make. What is older stays.

use std::collections::HashMap;

use super::head::Head;
use super::template::Made;
use crate::registry::ServiceKey;

/// Names and hosts that are taken.
pub struct Claims {
    /// Host -> the entry that has it.
    hosts: HashMap<String, String>,
    /// Entry -> the policy and the service that it is for.
    names: HashMap<String, (String, ServiceKey)>,
}

impl Claims {
    /// The claims of the entries that are there, of the oldest where several have a host.
    pub fn new<'a>(entries: impl Iterator<Item = &'a Head>) -> Self {
        let mut entries: Vec<_> = entries.collect();
        entries.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
        let mut hosts = HashMap::new();
        for entry in entries {
            for host in &entry.hosts {
                hosts.entry(host.clone()).or_insert_with(|| entry.name.clone());
            }
        }
        Self { hosts, names: HashMap::new() }
    }

    /// Claims the name and the hosts of an entry for a service.
    ///
    /// # Errors
    /// Another one has them, with what to do.
    pub fn claim(
        &mut self,
        policy: &str,
        service: &ServiceKey,
        made: &Made,
        there: Option<&Head>,
    ) -> Result<(), String> {
        if let Some(head) = there
            && head.policy.as_deref() != Some(policy)
        {
            return Err(match &head.policy {
                Some(other) => {
                    format!("ServiceEntry {} is of policy {other}; select the service by one of them", made.name)
                }
                None => format!(
                    "ServiceEntry {} exists and is of no policy, so it stays as it is; exclude the service, or delete the entry",
                    made.name
                ),
            });
        }
        if let Some((other, of)) = self.names.get(&made.name) {
            return Err(format!("ServiceEntry {} is already for service {of}, by policy {other}", made.name));
        }
        self.names.insert(made.name.clone(), (policy.into(), service.clone()));
        if let Some((host, holder)) = made.hosts.iter().find_map(|host| {
            let holder = self.hosts.get(host).filter(|holder| **holder != made.name)?;
            Some((host, holder))
        }) {
            // An entry that is there keeps its name, whatever becomes of its hosts.
            if there.is_none() {
                self.names.remove(&made.name);
            }
            return Err(format!(
                "host {host} is of ServiceEntry {holder}, which is older; exclude the service, or change a host"
            ));
        }
        for host in &made.hosts {
            self.hosts.insert(host.clone(), made.name.clone());
        }
        Ok(())
    }

    /// Whether an entry is this policy's for this service.
    pub fn is_own(&self, name: &str, policy: &str, service: &ServiceKey) -> bool {
        self.names.get(name).is_some_and(|(owner, of)| owner == policy && of == service)
    }
}
