//! The conditions of an entry that its owner should know of: one vocabulary for status, metrics, Events and log lines.

/// Something that an owner of an entry should know of.
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
    /// The endpoints flap: two writers undo each other's work, or instances come and go.
    Fight,
    /// A write waits for the end of a pause.
    Paused,
    /// The entry waits for longer than a few polls. Noted by the observers, as only time brings it about.
    Pending,
    /// A name cannot be published in the cluster's DNS.
    Name,
    /// A name is not published yet.
    NamePending,
    /// istiod took the entry's virtual IP away.
    VirtualIp,
    /// The registry gives no sound answer for the entry's service. Noted by the observers: it changes without a reconciliation.
    Registry,
}

impl Condition {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Rejected,
        Self::Annotation,
        Self::Conversion,
        Self::Held,
        Self::Write,
        Self::Contested,
        Self::Fight,
        Self::Paused,
        Self::Pending,
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
            Self::Pending => "pending",
            Self::Name => "name",
            Self::NamePending => "name-pending",
            Self::VirtualIp => "virtual-ip",
            Self::Registry => "registry",
        }
    }

    /// The reason that its Events have, in one word.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Rejected => "Rejected",
            Self::Annotation => "BadAnnotation",
            Self::Conversion => "ConversionFailed",
            // Each kind of hold has a reason of its own, which begins like this.
            Self::Held => "EndpointsHeld",
            Self::Write => "WriteRefused",
            Self::Contested => "FieldConflict",
            Self::Fight => "ContentFlaps",
            Self::Paused => "Paused",
            Self::Name | Self::NamePending => "NameNotPublished",
            Self::VirtualIp => "VirtualIpLost",
            // No Event has these two: on each entry it would help nobody.
            Self::Pending => "Pending",
            Self::Registry => "RegistryFails",
        }
    }

    /// The action that its Events have: what was being done.
    pub(super) fn action(self) -> &'static str {
        match self {
            Self::Rejected | Self::Annotation | Self::Conversion => "Convert",
            Self::Held => "Hold",
            Self::Write | Self::Contested | Self::Fight | Self::Paused => "Write",
            Self::Name | Self::NamePending => "Publish",
            Self::VirtualIp => "Allocate",
            Self::Pending | Self::Registry => "Ask",
        }
    }
}
