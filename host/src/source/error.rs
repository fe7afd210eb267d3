//! The reasons why a source has no module to give. Each text names the place, the problem and the remedy; none holds a
//! secret.

use std::path::PathBuf;
use std::time::Duration;

use crate::digest::Digest;

/// A trouble of a source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// A text that names no source.
    #[error("module source `{text}`: {problem}; {remedy}")]
    Address {
        /// The text, or the part of it that can be shown.
        text: String,
        /// The problem, in words.
        problem: String,
        /// A form that is accepted.
        remedy: &'static str,
    },
    /// A path that cannot be read.
    #[error("module {path}: {problem}; {remedy}", path = path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// The problem, in words.
        problem: String,
        remedy: &'static str,
    },
    /// A directory without a module in it.
    #[error("module directory {path}: no file in it is named *.wasm; put the module there, in a ConfigMap as a key of binaryData such as module.wasm (it holds 1 MiB at most; a larger one goes into a registry, by `polaris2istio module push`)", path = path.display())]
    NoModule { path: PathBuf },
    /// A directory with several modules in it.
    #[error("module directory {path}: {} are there, and only one can be the module; remove the others, or name one as file:{path}/{first}", names.join(", "), path = path.display(), first = names.first().map_or("NAME", String::as_str))]
    SeveralModules {
        path: PathBuf,
        /// The names of the files, sorted.
        names: Vec<String>,
    },
    /// More bytes than allowed.
    #[error(
        "module {origin}: {} bytes, more than the {limit} allowed; build it for size (opt-level \"s\", strip), or raise --module-max-size",
        size.map_or_else(|| format!("over {limit}"), |size| size.to_string())
    )]
    TooLarge {
        /// The place it was to come from.
        origin: String,
        /// The bytes that it has or says it has, if that is known.
        size: Option<u64>,
        /// Bytes that it may have.
        limit: u64,
    },
    /// A registry that cannot be talked to.
    #[error("module {reference}: no connection to the registry at {host}: {problem}; {remedy}")]
    Unreachable {
        reference: String,
        /// The host that was to be reached.
        host: String,
        /// The cause, in words.
        problem: String,
        remedy: &'static str,
    },
    /// A registry that takes too long.
    #[error(
        "module {reference}: the registry did not deliver the {what} within {after:?}; see how it fares, or raise --oci-timeout"
    )]
    TimedOut {
        reference: String,
        /// The part that was asked for.
        what: &'static str,
        /// The time that it had.
        after: Duration,
    },
    /// A connection that ended too early.
    #[error(
        "module {reference}: the connection broke while the {what} was on its way: {problem}; see how the registry fares"
    )]
    Dropped {
        reference: String,
        /// The part that was asked for.
        what: &'static str,
        /// The cause, in words.
        problem: String,
    },
    #[error(
        "module {reference}: the registry denies access to the {what} (HTTP {status}{code}) {credentials}; {remedy}"
    )]
    Denied {
        reference: String,
        /// The part that was asked for.
        what: &'static str,
        status: u16,
        /// The registry's own error code with a comma before it, or nothing.
        code: String,
        /// The credentials that were presented, without the secret.
        credentials: String,
        remedy: &'static str,
    },
    /// The registry does not have it.
    #[error(
        "module {reference}: the registry has no such {what} (HTTP 404{code}); check repository, tag and digest, and that it was pushed (private repositories may say the same to strangers)"
    )]
    Missing {
        reference: String,
        /// The part that was asked for.
        what: &'static str,
        /// The registry's own error code with a comma before it, or nothing.
        code: String,
    },
    /// Any other answer that is no success.
    #[error("module {reference}: asked for the {what}, the registry answers HTTP {status}{code}; {remedy}")]
    Status {
        reference: String,
        /// The part that was asked for.
        what: &'static str,
        status: u16,
        /// The registry's own error code with a comma before it, or nothing.
        code: String,
        remedy: &'static str,
    },
    /// An answer that breaks the rules of registries.
    #[error("module {reference}: the registry's answer is unfit: {field}: {problem}; {remedy}")]
    Answer {
        reference: String,
        /// The part of the answer that is unfit.
        field: String,
        /// The problem, in words.
        problem: String,
        remedy: &'static str,
    },
    /// Bytes that differ from their digest.
    #[error(
        "module {reference}: the {what} should have the digest {wanted} but has {found}, so it was altered or cut on its way and is not used; try another mirror or proxy, or push it again"
    )]
    WrongDigest {
        reference: String,
        /// The part that was asked for.
        what: &'static str,
        /// The digest asked for.
        wanted: Digest,
        /// The digest of the received bytes.
        found: Digest,
    },
    /// An artifact that is no module.
    #[error("module {reference}: an artifact of another kind: {field} {problem}; {remedy}")]
    Kind {
        reference: String,
        /// The field of the manifest that says so.
        field: &'static str,
        problem: String,
        remedy: &'static str,
    },
    /// A module without the signature that it needs.
    #[error(
        "module {reference}: {problem}, and --module-key {key} requires one; sign it: cosign sign --key cosign.key {signed}",
        key = key.display()
    )]
    Unsigned {
        reference: String,
        problem: String,
        /// The payload to be signed, as cosign names it.
        signed: String,
        key: PathBuf,
    },
    /// The key that modules must be signed by.
    #[error("module key {path}: {problem}; give cosign.pub, as `cosign generate-key-pair` writes it, by --module-key", path = path.display())]
    ModuleKey { path: PathBuf, problem: String },
    /// A module of a file, where modules must be signed.
    #[error(
        "module {origin}: a file has no signature, and --module-key requires one; push it (`polaris2istio module push`), sign it there, and name it as oci://registry/repository:tag, or leave --module-key out"
    )]
    UnsignedFile { origin: String },
    /// A reference that cannot be pushed to.
    #[error("module {reference}: {problem}; {remedy}")]
    Push { reference: String, problem: String, remedy: &'static str },
    /// The file with the credentials.
    #[error("registry credentials {path}: {problem}; {remedy}", path = path.display())]
    DockerConfig {
        path: PathBuf,
        /// The problem, in words.
        problem: String,
        remedy: &'static str,
    },
    /// The certificates to trust.
    #[error("registry certificates {path}: {problem}; give a file of certificates in PEM by --oci-ca-file", path = path.display())]
    Authority {
        path: PathBuf,
        /// The problem, in words.
        problem: String,
    },
    /// The client itself could not be set up, or its task ended early.
    #[error("module {origin}: cannot be fetched here: {problem}; this is a fault of this program")]
    Client {
        /// The place it was to come from.
        origin: String,
        /// The cause, in words.
        problem: String,
    },
}
