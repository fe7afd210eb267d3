//! Policies: which services of a registry namespace get an entry that nobody writes by hand, and what that entry is like.

mod check;
mod claims;
mod cluster;
mod crd;
mod fields;
mod follow;
mod generate;
pub mod glob;
mod head;
mod import;
mod import_log;
mod importer;
pub mod naming;
mod plan;
mod policy_reports;
mod report;
mod selection;
mod status;
mod template;
mod vanish;
mod watched;

pub use check::unknown_fields;
pub use crd::{crd, schema};
pub use fields::POLICY_MANAGER;
pub use generate::{Generated, generate};
pub use head::{Head, RawEntry};
pub use import::{
    Expression, Operator, PolarisImport, PolarisImportSpec, Prune, Select, Template, TemplateLocation, TemplatePort,
    TemplateProtocol, TemplateResolution,
};
pub use importer::{Importer, Options};
pub use plan::{Action, Denied, Known, Plan, Policy, Step, World, plan};
pub use policy_reports::PolicyReports;
pub use report::{Report, Trouble};
pub use status::{Condition, ImportStatus, REFUSED_NAMED, RefusedService};
pub use template::Made;
