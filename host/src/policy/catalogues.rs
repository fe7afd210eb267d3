//! The catalogues of all namespaces of the registry that policies want.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::select_all;

use super::follow::{News, follow};
use super::plan::Known;
use crate::registry::CatalogueSource;
use crate::writes::Gate;

/// What is followed, and what is known.
pub struct Catalogues {
    source: Arc<dyn CatalogueSource>,
    gate: Arc<Gate>,
    followed: BTreeMap<String, News>,
    pub known: BTreeMap<String, Known>,
}

impl Catalogues {
    pub fn new(source: Box<dyn CatalogueSource>, gate: Arc<Gate>) -> Self {
        Self { source: source.into(), gate, followed: BTreeMap::new(), known: BTreeMap::new() }
    }

    /// Follows these namespaces, and no others.
    pub fn want(&mut self, wanted: &BTreeSet<&str>) {
        self.followed.retain(|namespace, _| wanted.contains(&**namespace));
        self.known.retain(|namespace, _| wanted.contains(&**namespace));
        for namespace in wanted {
            self.followed
                .entry((*namespace).to_owned())
                .or_insert_with(|| follow(Arc::clone(&self.source), Arc::clone(&self.gate), (*namespace).to_owned()));
        }
    }

    /// Waits for news of any of them.
    pub async fn changed(&mut self) {
        let each = self.followed.iter_mut().map(|(namespace, news)| news.map(move |known| (namespace.clone(), known)));
        // Of none there never is any.
        let Some((namespace, known)) = select_all(each).next().await else { return std::future::pending().await };
        self.known.insert(namespace, known);
    }
}
