//! Everything that can go wrong on the registry's side, in words that name the object, the value and the remedy.
//!
//! No text ever holds the access token or an instance's `service_token`: the first is never given to an error, the second is
//! never decoded.

use std::path::PathBuf;
use std::time::Duration;

use super::ServiceKey;

/// An error of the registry's side. Every text names what it is about and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// An address of the registry that cannot be used.
    #[error("registry address `{address}`: {problem}; {remedy}")]
    Address {
        /// As it was given.
        address: String,
        /// The problem with it.
        problem: String,
        /// The text to write instead.
        remedy: String,
    },
    /// The access token cannot be used.
    #[error("registry token from {origin}: {problem}; put the bare token there, or start without one")]
    Token {
        /// The file, or the words for where it came from.
        origin: String,
        /// The problem, without the token.
        problem: String,
    },
    /// A file for TLS cannot be used.
    #[error("registry {what} from {path}: {problem}; give a file in PEM", path = path.display())]
    TlsFile {
        /// The purpose of the file.
        what: &'static str,
        path: PathBuf,
        /// The problem, without the content.
        problem: String,
    },
    /// TLS did not come about.
    #[error(
        "registry at {address}: no TLS: {problem}; if an authority of your own made its certificate, name that by --polaris-ca-file, and if it wants a certificate of ours, give that by --polaris-cert-file and --polaris-key-file"
    )]
    Tls {
        address: String,
        /// The words of the TLS library or the server.
        problem: String,
    },
    /// The HTTP client could not be made.
    #[error(
        "the HTTP client for the registry could not be made: {problem}; this is a defect or a lack of resources on this machine"
    )]
    Client {
        /// The client's words.
        problem: String,
    },
    /// The name in an address does not resolve.
    #[error(
        "registry address `{address}`: the name `{name}` does not resolve: {problem}; check the spelling and this machine's DNS, or give an IP address"
    )]
    Unresolved {
        /// The address as given.
        address: String,
        /// The name in it.
        name: String,
        /// The resolver's words.
        problem: String,
    },
    /// No connection could be made.
    #[error(
        "registry at {address} cannot be reached: {problem}; check that Polaris runs there and that its port (8091 for gRPC, 8090 for HTTP by default) is open to this machine"
    )]
    Unreachable {
        address: String,
        /// The system's words.
        problem: String,
    },
    /// An answer did not come, or not all of it, in time.
    #[error(
        "service {service}: the registry at {address} did not answer within {after:?}; check its load, or allow more time"
    )]
    TimedOut {
        service: ServiceKey,
        address: String,
        /// The time that was allowed.
        after: Duration,
    },
    /// The connection ended before the answer was whole.
    #[error(
        "service {service}: the registry at {address} ended the connection before its answer was whole: {problem}; if only this service is concerned, look for it in the server's log"
    )]
    Dropped {
        service: ServiceKey,
        address: String,
        /// The client's words.
        problem: String,
    },
    /// The server, or its store, is in trouble.
    #[error(
        "{origin}: the registry answered {code} ({info}), a trouble of its own; look into the server's log and its store"
    )]
    Server {
        /// Where the answer came from.
        origin: String,
        /// Polaris's code, or the HTTP status where there is none.
        code: u32,
        /// The server's words.
        info: String,
    },
    /// The token is missing, bad or not allowed to read this.
    #[error(
        "{origin}: the registry denied access: {code} ({info}); give a token that may read this service, or check the one given"
    )]
    Denied {
        /// Where the answer came from.
        origin: String,
        /// Polaris's code, or the HTTP status where there is none.
        code: u32,
        /// The server's words.
        info: String,
    },
    /// The server limits how often it may be asked.
    #[error("{origin}: the registry limits requests: {code} ({info}); poll less often, or raise the server's limit")]
    Limited {
        /// Where the answer came from.
        origin: String,
        /// Polaris's code, or the HTTP status where there is none.
        code: u32,
        /// The server's words.
        info: String,
        /// How long the server asks to be left alone.
        wait: Option<Duration>,
    },
    /// The server refused the request for another reason.
    #[error("{origin}: the registry refused the request: {code} ({info}); check the service's namespace and name")]
    Refused {
        /// Where the answer came from.
        origin: String,
        /// Polaris's code.
        code: u32,
        /// The server's words.
        info: String,
    },
    /// Something else than Polaris's client API answers at the address.
    #[error(
        "{origin}: what answers there is not Polaris's client API: {problem}; give the address of Polaris's port for gRPC (8091 by default) or HTTP (8090 by default), past any proxy"
    )]
    NotPolaris {
        /// Where the answer came from.
        origin: String,
        /// The thing that it did instead.
        problem: String,
    },
    /// An answer is larger than allowed.
    #[error(
        "{origin}: the answer is larger than {limit} bytes and was not read; check the service in the registry, or split it into several"
    )]
    TooLarge {
        /// Where the answer came from.
        origin: String,
        /// The limit.
        limit: usize,
    },
    /// An answer holds more of something than is kept.
    #[error(
        "{origin}: the answer has more than {limit} {what} and was not taken; check the service in the registry, or split it into several"
    )]
    TooMany {
        /// Where the answer came from.
        origin: String,
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// All answers together are more than is kept.
    #[error(
        "service {service}: all services together may list {limit} bytes, and it or its namespace takes more than its share of them, so this answer was not taken; look in the registry for services that have grown out of all measure, or serve the entries by several controllers, each of its own namespace"
    )]
    TooMuch {
        /// Whose answer it was that did not fit.
        service: ServiceKey,
        /// The limit, in bytes.
        limit: usize,
    },
    /// An answer is not JSON, or ends too early.
    #[error("{origin}: {problem}; a whole answer of Polaris's `/v1/Discover`, in JSON, is needed here")]
    NotJson {
        /// Where the answer came from.
        origin: String,
        /// The parser's words, with line and column.
        problem: String,
    },
    /// An answer is no message of Polaris's gRPC API.
    #[error("{origin}: {problem}; a whole `DiscoverResponse` of Polaris, in protobuf, is needed here")]
    NotMessage {
        /// Where the answer came from.
        origin: String,
        /// The decoder's words.
        problem: String,
    },
    /// A field of an answer has a value that cannot be.
    #[error("{origin}: field `{field}`: {problem}; correct it at its source")]
    Field {
        /// Where the answer came from.
        origin: String,
        /// Its path in the answer.
        field: String,
        /// The problem with the value.
        problem: String,
    },
    /// An answer says nothing of a service's instances.
    #[error("{origin}: {problem}; record an answer to a request of type INSTANCE with an empty revision")]
    NotInstances {
        /// Where the answer came from.
        origin: String,
        /// The thing that it is instead.
        problem: String,
    },
    /// An answer says nothing of a namespace's services.
    #[error("{origin}: {problem}; a whole answer of Polaris of type SERVICES is needed here")]
    NotServices {
        /// Where the answer came from.
        origin: String,
        /// The thing that it is instead.
        problem: String,
    },
    /// An answer is about another service than asked for.
    #[error(
        "{origin}: asked for service {asked}, answered for {answered}; a proxy or cache may mix answers up: ask Polaris directly"
    )]
    WrongService {
        /// Where the answer came from.
        origin: String,
        asked: ServiceKey,
        answered: ServiceKey,
    },
    /// The directory of answers cannot be read.
    #[error("directory of registry answers {path}: {problem}; {remedy}", path = path.display())]
    Directory {
        path: PathBuf,
        /// The system's words.
        problem: String,
        remedy: String,
    },
    /// A file of the directory cannot be read.
    #[error("registry answer {path}: {problem}; {remedy}", path = path.display())]
    File {
        path: PathBuf,
        /// The system's words.
        problem: String,
        remedy: String,
    },
    /// Two files hold an answer for one service.
    #[error("service {service} has answers in {first} and in {second}: the first stands; remove or rename one of them", first = first.display(), second = second.display())]
    TwoFiles {
        service: ServiceKey,
        /// The file that counts.
        first: PathBuf,
        /// A file that does not.
        second: PathBuf,
    },
    /// No file gives the service, but one that cannot be understood may.
    #[error("service {service}: no file gives it, but {file} could not be understood and may be its; correct or remove that file", file = file.display())]
    Obscured {
        service: ServiceKey,
        /// A file that could not be understood.
        file: PathBuf,
    },
}

impl RegistryError {
    /// A stable word for the kind of trouble, in kebab case: what repeated failures are told apart by, and what a metric may
    /// be labelled with.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Address { .. } => "address",
            Self::Token { .. } => "token",
            Self::TlsFile { .. } => "tls-file",
            Self::Tls { .. } => "tls",
            Self::Client { .. } => "client",
            Self::Unresolved { .. } => "unresolved",
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut { .. } => "timed-out",
            Self::Dropped { .. } => "dropped",
            Self::Server { .. } => "server",
            Self::Denied { .. } => "denied",
            Self::Limited { .. } => "limited",
            Self::Refused { .. } => "refused",
            Self::NotPolaris { .. } => "not-polaris",
            Self::TooLarge { .. } => "too-large",
            Self::TooMany { .. } => "too-many",
            Self::TooMuch { .. } => "too-much",
            Self::NotJson { .. } => "not-json",
            Self::NotMessage { .. } => "not-message",
            Self::Field { .. } => "field",
            Self::NotInstances { .. } => "not-instances",
            Self::NotServices { .. } => "not-services",
            Self::WrongService { .. } => "wrong-service",
            Self::Directory { .. } => "directory",
            Self::File { .. } => "file",
            Self::TwoFiles { .. } => "two-files",
            Self::Obscured { .. } => "obscured",
        }
    }

    /// Whether it concerns a server as a whole: nothing can be asked there.
    pub(super) fn is_of_server(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Unresolved { .. } | Self::Tls { .. } | Self::NotPolaris { .. })
    }

    /// Whether the registry answered, and only this service has the trouble.
    pub(super) fn is_of_one_service(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. }
                | Self::TooLarge { .. }
                | Self::TooMany { .. }
                | Self::TooMuch { .. }
                | Self::Field { .. }
                | Self::NotInstances { .. }
                | Self::WrongService { .. }
        )
    }
}
