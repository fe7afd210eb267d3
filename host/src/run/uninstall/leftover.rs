//! One object that has something of ours, and what is to become of it.

use std::fmt;

use kube::api::ObjectMeta;

use super::claims::Claims;
use crate::text::counted;
use crate::title::title;

/// The kinds of objects that something is left in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    ServiceEntry,
    PolarisImport,
    Service,
    EndpointSlice,
    Lease,
    ConfigMap,
}

/// What is to become of an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// It stays as it is, but for claims and, where asked for, annotations.
    GiveUp {
        claims: Claims,
        strip: bool,
    },
    /// It stays, with these finalizers alone: with ours it could not be deleted any more, and its kind neither.
    Release {
        others: Vec<String>,
    },
    Delete,
}

/// An object with something of ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Leftover {
    pub object: Object,
    pub namespace: String,
    pub name: String,
    pub(super) uid: String,
    pub(super) resource_version: String,
    pub(super) action: Action,
}

impl Leftover {
    pub(super) fn new(object: Object, metadata: ObjectMeta, action: Action) -> Self {
        Self {
            object,
            namespace: metadata.namespace.unwrap_or_default(),
            name: metadata.name.unwrap_or_default(),
            uid: metadata.uid.unwrap_or_default(),
            resource_version: metadata.resource_version.unwrap_or_default(),
            action,
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ServiceEntry => "ServiceEntry",
            Self::PolarisImport => "PolarisImport",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Lease => "Lease",
            Self::ConfigMap => "ConfigMap",
        })
    }
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<13} {}: ", self.object, title(&self.namespace, &self.name))?;
        match &self.action {
            Action::Delete => write!(f, "delete"),
            Action::Release { .. } => write!(f, "take the finalizer away, without which it can be deleted"),
            Action::GiveUp { claims, strip } => {
                if !claims.fields.is_empty() {
                    write!(f, "give up {claims}, with their values left as they are")?;
                }
                if *strip && !claims.annotations.is_empty() {
                    let and = if claims.fields.is_empty() { "" } else { "; " };
                    write!(f, "{and}remove {}", counted(claims.annotations.len(), "annotation"))?;
                }
                Ok(())
            }
        }
    }
}
