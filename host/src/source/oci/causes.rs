//! What is behind an error of the HTTP client.

use std::error::Error;
use std::io;

/// An error and its causes, from the outermost.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        // An error of the system that wraps another hides it from `source`.
        Some(inner) => Some(inner),
        None => error.source(),
    })
}

/// The innermost two causes: the outer ones say little.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let causes: Vec<String> = causes(error).map(ToString::to_string).collect();
    match causes.as_slice() {
        [.., outer, inner] if !outer.contains(inner.as_str()) => format!("{outer}: {inner}"),
        [.., inner] => inner.clone(),
        [] => error.to_string(),
    }
}

/// Whether a connection came about too late.
pub(super) fn is_late(error: &(dyn Error + 'static)) -> bool {
    causes(error)
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut))
}

pub(super) fn is_tls(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| cause.is::<rustls::Error>())
}
