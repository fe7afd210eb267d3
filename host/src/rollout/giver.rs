//! Who gave a command: what the kernel says of the other end of the socket, and where that was.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The giver of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Giver {
    /// The user, by number.
    pub user: u32,
    /// The process; `None` if the kernel does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<i32>,
    /// The pod or machine that the socket is on; empty if that has no name.
    pub host: String,
}

impl Giver {
    /// A user and a process on this machine.
    pub fn here(user: u32, process: Option<i32>) -> Self {
        Self { user, process, host: Self::host() }
    }

    /// The name of this pod or machine; empty if it has none.
    pub(super) fn host() -> String {
        let name = |text: String| Some(text.trim().to_owned()).filter(|name| !name.is_empty());
        let pod = std::env::var("POD_NAME").ok().and_then(name);
        let host = pod.or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok().and_then(name));
        host.unwrap_or_default()
    }
}

/// `by command of user 0, process 17 on polaris2istio-0`.
impl fmt::Display for Giver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "by command of user {}", self.user)?;
        self.process.iter().try_for_each(|process| write!(f, ", process {process}"))?;
        if self.host.is_empty() { Ok(()) } else { write!(f, " on {}", self.host) }
    }
}
