//! Whether the service counts as part of the mesh.

use crate::annotation;
use crate::diagnostic::{Code, diagnostic};
use crate::model::{Diagnostic, MeshLocation, Subject};
use crate::quote::quote;

/// What `aeraki.net/external` asks for. Absent leaves what the operator wrote; where he wrote nothing, that is
/// MESH_EXTERNAL, which is Istio's default and was the original tool's.
///
/// # Errors
/// A diagnostic where the value is neither `"true"` nor `"false"`: guessing would change who may reach the service.
pub fn read(annotations: &[(String, String)]) -> Result<Option<MeshLocation>, Diagnostic> {
    match annotation::find(annotations, annotation::EXTERNAL) {
        None => Ok(None),
        Some("true") => Ok(Some(MeshLocation::MeshExternal)),
        Some("false") => Ok(Some(MeshLocation::MeshInternal)),
        Some(other) => Err(diagnostic(
            Code::LocationInvalid,
            Subject::Annotation(annotation::EXTERNAL.to_owned()),
            format!(
                "the annotation {} is {}, which is neither \"true\" nor \"false\"",
                annotation::EXTERNAL,
                quote(other)
            ),
            "Set it to \"true\" (MESH_EXTERNAL) or \"false\" (MESH_INTERNAL), or remove it.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_true_false_or_nothing() {
        for (value, expected) in [
            (None, Ok(None)),
            (Some("true"), Ok(Some(MeshLocation::MeshExternal))),
            (Some("false"), Ok(Some(MeshLocation::MeshInternal))),
            (Some("False"), Err("location-invalid".to_owned())),
            (Some(""), Err("location-invalid".to_owned())),
        ] {
            let annotations: Vec<_> =
                value.map(|value: &str| (annotation::EXTERNAL.to_owned(), value.to_owned())).into_iter().collect();
            assert_eq!(read(&annotations).map_err(|error| error.code), expected, "{value:?}");
        }
    }
}
