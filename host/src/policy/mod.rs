//! Policies: which services of a registry namespace get an entry that nobody writes by hand, and what that entry is like.

mod catalogues;
mod changes;
mod check;
mod claims;
mod cluster;
mod crd;
mod denials;
mod directory;
mod fields;
mod file_policies;
mod follow;
mod generate;
pub mod glob;
mod head;
mod import;
mod import_log;
mod importer;
pub mod naming;
mod place;
mod plan;
#[allow(clippy::module_inception, reason = "it is the room's main type")]
mod policy;
mod policy_events;
mod policy_reports;
mod report;
mod selection;
mod status;
mod template;
mod vanish;

pub use changes::{Change, changes};
pub use check::unknown_fields;
pub use cluster::Cluster;
pub use crd::{crd, schema};
pub use directory::Directory;
pub use fields::POLICY_MANAGER;
pub use generate::{Generated, generate};
pub use head::{Head, RawEntry};
pub use import::{
    Expression, OnDelete, Operator, PolarisImport, PolarisImportSpec, Prune, Select, Template, TemplateLocation,
    TemplatePort, TemplateProtocol, TemplateResolution,
};
pub use importer::{Importer, Options};
pub use place::Place;
pub use plan::{Action, Denied, Known, Plan, Step, World, plan};
pub use policy::{Policy, others as other_finalizers};
pub use policy_reports::PolicyReports;
pub use report::{Report, Trouble};
pub use status::{Condition, ImportStatus, REFUSED_NAMED, RefusedService};
pub use template::Made;
