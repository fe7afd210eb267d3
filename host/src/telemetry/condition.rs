//! The conditions of an entry that its owner should know of: one vocabulary for status, metrics, Events and log lines.

/// What an owner of an entry should know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// The rules reject the entry or the answer.
    Rejected,
    /// An annotation does not say what it could.
    Annotation,
    /// The module gave nothing that can be used.
    Conversion,
    /// Endpoints are kept that would have disappeared.
    Held,
    /// The API server does not take the write.
    Write,
    /// Another manager holds another value of a field that we would write.
    Contested,
    /// The content goes back and forth.
    Fight,
    /// A write waits for the end of a pause.
    Paused,
    /// A name cannot be published in the cluster's DNS.
    Name,
    /// A name is not published yet.
    NamePending,
    /// istiod took the entry's virtual IP away.
    VirtualIp,
    /// The registry gives no sound answer for the entry's service. Noted by the observers, not by a look.
    Registry,
}

impl Condition {
    pub const ALL: [Self; 12] = [
        Self::Rejected,
        Self::Annotation,
        Self::Conversion,
        Self::Held,
        Self::Write,
        Self::Contested,
        Self::Fight,
        Self::Paused,
        Self::Name,
        Self::NamePending,
        Self::VirtualIp,
        Self::Registry,
    ];

    /// One word, as metrics and the status have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Annotation => "annotation",
            Self::Conversion => "conversion",
            Self::Held => "held",
            Self::Write => "write",
            Self::Contested => "contested",
            Self::Fight => "fight",
            Self::Paused => "paused",
            Self::Name => "name",
            Self::NamePending => "name-pending",
            Self::VirtualIp => "virtual-ip",
            Self::Registry => "registry",
        }
    }
}
