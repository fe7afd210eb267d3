//! Which service of the registry an entry is bound to.

use crate::annotation;
use crate::diagnostic::{Code, diagnostic};
use crate::model::{Diagnostic, Subject};
use crate::quote::quote;

/// The longest name of a namespace or service that Polaris takes, in bytes.
pub const LONGEST_NAME: usize = 128;

/// A service of the registry, as an entry's annotations name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Binding<'a> {
    /// The registry's namespace.
    pub namespace: &'a str,
    /// The service's name in it.
    pub service: &'a str,
}

impl<'a> Binding<'a> {
    /// Reads the binding from an entry's annotations.
    ///
    /// # Errors
    /// One diagnostic for each annotation that is missing, empty or longer than [`LONGEST_NAME`].
    pub fn read(annotations: &'a [(String, String)]) -> Result<Self, Vec<Diagnostic>> {
        match (name(annotations, annotation::NAMESPACE), name(annotations, annotation::SERVICE)) {
            (Ok(namespace), Ok(service)) => Ok(Self { namespace, service }),
            (namespace, service) => Err([namespace.err(), service.err()].into_iter().flatten().collect()),
        }
    }
}

fn name<'a>(annotations: &'a [(String, String)], key: &str) -> Result<&'a str, Diagnostic> {
    let value = annotation::find(annotations, key).unwrap_or_default();
    let subject = Subject::Annotation(key.to_owned());
    if value.trim().is_empty() {
        return Err(diagnostic(
            Code::BindingMissing,
            subject,
            format!("the annotation {key} is missing or empty"),
            "Set it to the name that the registry has, or remove the label registry: polaris from the entry.",
        ));
    }
    if value.len() > LONGEST_NAME {
        return Err(diagnostic(
            Code::BindingTooLong,
            subject,
            format!(
                "the annotation {key} is {} ({} bytes); the registry has no names over {LONGEST_NAME} bytes",
                quote(value),
                value.len()
            ),
            "Set it to the name that the registry has.",
        ));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(namespace: Option<&str>, service: Option<&str>, expected: Result<(&str, &str), &[&str]>) {
        let annotations: Vec<_> = [(annotation::NAMESPACE, namespace), (annotation::SERVICE, service)]
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())))
            .collect();
        let read = Binding::read(&annotations);
        let read = read
            .as_ref()
            .map(|binding| (binding.namespace, binding.service))
            .map_err(|errors| errors.iter().map(|error| error.code.as_str()).collect::<Vec<_>>());
        assert_eq!(read, expected.map_err(<[&str]>::to_vec));
    }

    #[test]
    fn reads_or_says_what_is_wrong() {
        let longest = "n".repeat(128);
        let too_long = "n".repeat(129);
        check(Some("prod"), Some("orders"), Ok(("prod", "orders")));
        check(Some("prod"), Some(&longest), Ok(("prod", &longest)));
        check(None, Some("orders"), Err(&["binding-missing"]));
        check(Some("prod"), Some(""), Err(&["binding-missing"]));
        check(Some(" "), None, Err(&["binding-missing", "binding-missing"]));
        check(Some(&too_long), Some("orders"), Err(&["binding-too-long"]));
    }
}
