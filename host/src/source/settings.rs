//! The settings of a source, with defaults that suit production.

use std::path::PathBuf;
use std::time::Duration;

/// The settings of a source.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The largest module that is taken, in bytes. 4 MiB by default.
    pub size_limit: u64,
    /// The time that a file which changed lately must stand still before it is read, so that no half of it is. 250 ms by
    /// default.
    pub settle: Duration,
    /// The settings for registries.
    pub oci: OciSettings,
    /// The directory that keeps modules from registries over a restart; none by default.
    pub cache: Option<PathBuf>,
    /// The public key (`cosign.pub`) that a module must be signed by, which only a registry can show; `None` if it need not be.
    pub module_key: Option<PathBuf>,
}

/// The settings for OCI registries.
#[derive(Clone, Debug)]
pub struct OciSettings {
    /// The time until a tag is resolved again, jittered by a tenth, and the longest wait after a failure. 60 s by default.
    pub poll: Duration,
    /// The Docker `config.json` with the credentials. By default `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`, if
    /// there is one.
    pub docker_config: Option<PathBuf>,
    /// A file of certificates (PEM) that are trusted beside the system's.
    pub authority: Option<PathBuf>,
    /// The registries that are spoken to without TLS.
    pub plain_http: PlainHttp,
    /// The longest time of a connection attempt. 5 s by default.
    pub connect_timeout: Duration,
    /// The longest time of a whole request, the download of the module included. 30 s by default.
    pub request_timeout: Duration,
}

/// The registries that are spoken to without TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainHttp {
    Never,
    /// Those on this machine, named `localhost` or by a loopback address.
    #[default]
    Loopback,
    /// All: the transfer can be read by others, credentials included, but not altered if a digest is pinned.
    Always,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            size_limit: 4 << 20,
            settle: Duration::from_millis(250),
            oci: OciSettings::default(),
            cache: None,
            module_key: None,
        }
    }
}

impl Default for OciSettings {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(60),
            docker_config: None,
            authority: None,
            plain_http: PlainHttp::default(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
        }
    }
}
