//! ServiceEntries in YAML, as an operator's directory holds them.

use std::sync::{Arc, LazyLock};

use polaris2istio::entries::Document;
use polaris2istio::registry::{Content, decode_answer};
use polaris2istio_core::model::Service;

use crate::chain;

static SERVICE: LazyLock<Arc<Service>> = LazyLock::new(|| {
    let text = include_bytes!("../../../deploy/example/answers/reviews.json");
    match decode_answer(text, "example").unwrap().content {
        Content::Listed(service) => service,
        Content::Missing => panic!("the example lists instances"),
    }
});

pub(crate) fn run(data: &[u8]) {
    let Ok(documents) = Document::parse_all(data, "fuzz") else { return };
    for document in documents {
        if let Some(update) = chain::convert(&SERVICE, &document) {
            // The operator's own fields may break a rule, which is not ours to mend.
            let _ = chain::apply(update, &document);
        }
    }
}
