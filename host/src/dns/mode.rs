//! The records that are published for an entry: by a flag for all, by an annotation for one.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;

/// The records that are published for an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Nothing.
    #[default]
    Off,
    /// The virtual IP, for clients whose traffic passes a sidecar or ztunnel but whose DNS does not. (A sidecar that captures
    /// no DNS routes HTTP by host, but raw TCP by an address that istiod allocated not at all: `Service.getAllAddressesForProxy`
    /// in istiod's `pilot/pkg/model/service.go`.)
    Records,
    /// As `records`, and hosts of two labels become aliases.
    Cname,
    /// The instances' own addresses, for clients with no proxy at all.
    Endpoints,
}

/// The error for a mode that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of off, records, cname and endpoints")]
pub struct UnknownMode(String);

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        <Self as ValueEnum>::from_str(text, false).map_err(|_| UnknownMode(text.into()))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Records => "records",
            Self::Cname => "cname",
            Self::Endpoints => "endpoints",
        })
    }
}
