//! The module that a reference names now: resolved, compared with the known one, downloaded if it is another, verified.

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::HeaderMap;

use super::http::{Answer, What};
use super::manifest::{self, Layer, Named};
use super::session::Session;
use super::signature::{Key, Signature};
use super::signed::Search;
use super::token::Access;
use crate::digest::Digest;
use crate::source::{Cache, ModuleBytes, Reference, Settings, SourceError, blocking};

/// The header in which registries say which manifest they answer with.
const DIGEST_HEADER: &str = "docker-content-digest";

/// Gets an artifact once. The cache serves if a digest is pinned.
pub(in crate::source) async fn fetch(reference: &Reference, settings: &Settings) -> Result<ModuleBytes, SourceError> {
    let mut artifact = Artifact::new(reference, settings).await?;
    if let Some(module) = artifact.pinned_in_cache().await? {
        return Ok(module);
    }
    let missing = || SourceError::Client { origin: reference.to_string(), problem: "nothing was downloaded".into() };
    artifact.news().await?.ok_or_else(missing)
}

/// An artifact, and the state of the last answer about it.
pub(super) struct Artifact {
    reference: Reference,
    settings: Settings,
    cache: Option<Cache>,
    /// Made anew after a failure, so that certificates are read again.
    session: Option<Session>,
    /// The manifest and the module that were handed out last.
    known: Option<(Digest, Digest)>,
    /// A manifest that is unfit, however often it is read.
    refused: Option<(Digest, SourceError)>,
}

impl Artifact {
    pub(super) async fn new(reference: &Reference, settings: &Settings) -> Result<Self, SourceError> {
        let cache = match settings.cache.clone() {
            None => None,
            Some(directory) => {
                let at = directory.display().to_string();
                let opened = blocking(&reference.to_string(), move || Cache::open(&directory)).await?;
                opened.inspect_err(|error| no_cache(&at, error)).ok()
            }
        };
        Ok(Self {
            reference: reference.clone(),
            settings: settings.clone(),
            cache,
            session: None,
            known: None,
            refused: None,
        })
    }

    pub(super) fn is_pinned(&self) -> bool {
        self.reference.digest().is_some()
    }

    /// Whether something was handed out.
    pub(super) fn is_known(&self) -> bool {
        self.known.is_some()
    }

    /// The module from the cache, if its digest is pinned: no registry could say anything else.
    pub(super) async fn pinned_in_cache(&mut self) -> Result<Option<ModuleBytes>, SourceError> {
        if self.is_pinned() { self.in_cache().await } else { Ok(None) }
    }

    /// The module from the cache: of the pinned digest, or of the digest that the tag was last resolved to.
    pub(super) async fn in_cache(&mut self) -> Result<Option<ModuleBytes>, SourceError> {
        let Some(cache) = self.cache.clone() else { return Ok(None) };
        let (reference, limit) = (self.reference.clone(), self.settings.size_limit);
        let origin = self.reference.to_string();
        let key = self.key().await?;
        let found = blocking(&origin, move || {
            let manifest = reference.digest().or_else(|| cache.resolved(&reference))?;
            if let Some(key) = key {
                // The key may be another than when it was kept.
                let kept: Signature = serde_json::from_slice(&cache.signature(manifest)?).ok()?;
                kept.proves(&key, manifest).then_some(())?;
            }
            let layer = match manifest::named("", &cache.manifest(manifest)?).ok()? {
                Named::Module(layer) => layer,
                Named::Manifest(inner) => manifest::layer("", &cache.manifest(inner)?).ok()?,
            };
            Some((manifest, layer.digest, cache.module(layer.digest, limit)?))
        });
        let Some((manifest, module, bytes)) = found.await? else { return Ok(None) };
        self.known = Some((manifest, module));
        Ok(Some(ModuleBytes::new(bytes, format!("{} (from the cache)", self.reference.pinned(manifest)))))
    }

    /// Asks the registry. `None` if the module is the one that was handed out last.
    pub(super) async fn news(&mut self) -> Result<Option<ModuleBytes>, SourceError> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => Session::new(&self.reference, &self.settings, Access::Pull).await?,
        };
        let news = self.ask(&mut session).await?;
        self.session = Some(session);
        Ok(news)
    }

    async fn ask(&mut self, session: &mut Session) -> Result<Option<ModuleBytes>, SourceError> {
        if (self.known.is_some() || self.refused.is_some()) && self.head_is_known(session).await? {
            return Ok(None);
        }
        let answer = session.manifest(Method::GET).await?;
        let manifest = self.verify(&answer)?;
        let signature = self.signature(session, manifest).await?;
        let mut manifests = vec![(manifest, answer.body)];
        let mut named = self.named(&manifests[0].1);
        if let Ok(Named::Manifest(inner)) = named {
            let body = self.inner(session, inner).await?;
            named = manifest::layer(&self.reference.to_string(), &body).map(Named::Module);
            manifests.push((inner, body));
        }
        let layer = match named.and_then(|named| self.fit(named)) {
            Ok(layer) => layer,
            Err(error) => {
                self.refused = Some((manifest, error.clone()));
                return Err(error);
            }
        };
        self.refused = None;
        let bytes = match self.known {
            Some((_, module)) if module == layer.digest => None,
            _ => Some(self.module(session, layer).await?),
        };
        self.keep(Kept { manifests, signature, module: layer.digest, bytes: bytes.clone() }).await?;
        self.known = Some((manifest, layer.digest));
        Ok(bytes.map(|bytes| ModuleBytes::new(bytes, self.reference.pinned(manifest).to_string())))
    }

    /// The key that modules must be signed by, read anew: it may have been changed.
    async fn key(&self) -> Result<Option<Key>, SourceError> {
        let Some(path) = self.settings.module_key.clone() else { return Ok(None) };
        blocking(&self.reference.to_string(), move || Key::read(&path)).await?.map(Some)
    }

    /// The signature of a manifest, where one is needed. Not remembered as a refusal: it is made after the push.
    async fn signature(&self, session: &mut Session, manifest: Digest) -> Result<Option<Signature>, SourceError> {
        let (Some(key), Some(path)) = (self.key().await?, &self.settings.module_key) else { return Ok(None) };
        Search { session, reference: &self.reference, key: (path, &key), manifest }.find().await.map(Some)
    }

    /// The manifest that an index names.
    async fn inner(&self, session: &mut Session, inner: Digest) -> Result<Vec<u8>, SourceError> {
        let answer = session.get(What::Manifest, &format!("manifests/{inner}"), manifest::ACCEPT).await?;
        match Digest::of(&answer.body) {
            found if found == inner => Ok(answer.body),
            found => Err(self.wrong("manifest", inner, found)),
        }
    }

    /// Whether the tag still names the same manifest, by a request that transfers nothing. A known refusal is repeated.
    async fn head_is_known(&self, session: &mut Session) -> Result<bool, SourceError> {
        let found = match session.manifest(Method::HEAD).await {
            Ok(answer) => digest_of(&answer.headers),
            // A registry that does not answer HEAD may well answer GET.
            Err(SourceError::Status { .. }) => None,
            Err(error) => return Err(error),
        };
        match (&self.refused, found) {
            (Some((refused, error)), Some(found)) if *refused == found => Err(error.clone()),
            (_, Some(found)) => Ok(self.known.is_some_and(|(manifest, _)| manifest == found)),
            (_, None) => Ok(false),
        }
    }

    /// The manifest's digest; an error if it is another than the one that was asked for.
    fn verify(&self, answer: &Answer) -> Result<Digest, SourceError> {
        let found = Digest::of(&answer.body);
        match self.reference.digest().or_else(|| digest_of(&answer.headers)) {
            Some(wanted) if wanted != found => Err(self.wrong("manifest", wanted, found)),
            _ => Ok(found),
        }
    }

    fn named(&self, manifest: &[u8]) -> Result<Named, SourceError> {
        manifest::named(&self.reference.to_string(), manifest)
    }

    /// The layer, if it is not too large.
    fn fit(&self, named: Named) -> Result<Layer, SourceError> {
        let (origin, limit) = (self.reference.to_string(), self.settings.size_limit);
        match named {
            Named::Module(layer) if layer.size > limit => {
                Err(SourceError::TooLarge { origin, size: Some(layer.size), limit })
            }
            Named::Module(layer) => Ok(layer),
            Named::Manifest(_) => Err(SourceError::Client { origin, problem: "an index was not followed".into() }),
        }
    }

    async fn module(&self, session: &mut Session, layer: Layer) -> Result<Bytes, SourceError> {
        if let Some(cache) = self.cache.clone() {
            let limit = self.settings.size_limit;
            let cached = blocking(&self.reference.to_string(), move || cache.module(layer.digest, limit)).await?;
            if let Some(bytes) = cached {
                return Ok(bytes.into());
            }
        }
        let bytes = session.module(layer.digest).await?;
        match Digest::of(&bytes) {
            found if found == layer.digest => Ok(bytes.into()),
            found => Err(self.wrong("module", layer.digest, found)),
        }
    }

    /// Keeps what was fetched in the cache. What cannot be kept is used all the same.
    async fn keep(&self, kept: Kept) -> Result<(), SourceError> {
        let Some(cache) = self.cache.clone() else { return Ok(()) };
        let reference = self.reference.clone();
        blocking(&self.reference.to_string(), move || {
            if let Err(error) = kept.write(&cache, &reference) {
                no_cache(&reference.to_string(), &error);
            }
        })
        .await
    }

    fn wrong(&self, what: &'static str, wanted: Digest, found: Digest) -> SourceError {
        SourceError::WrongDigest { reference: self.reference.to_string(), what, wanted, found }
    }
}

/// The parts of an answer that the cache keeps.
struct Kept {
    /// The manifest that the reference names, and where that is an index, the one in it.
    manifests: Vec<(Digest, Vec<u8>)>,
    signature: Option<Signature>,
    module: Digest,
    /// `None` if the module is kept already.
    bytes: Option<Bytes>,
}

impl Kept {
    fn write(&self, cache: &Cache, reference: &Reference) -> std::io::Result<()> {
        if let Some(bytes) = &self.bytes {
            cache.keep_module(self.module, bytes)?;
        }
        for (digest, text) in &self.manifests {
            cache.keep_manifest(*digest, text)?;
        }
        let Some((manifest, _)) = self.manifests.first() else { return Ok(()) };
        if let Some(signature) = &self.signature {
            cache.keep_signature(*manifest, &serde_json::to_vec(signature)?)?;
        }
        match reference.digest() {
            Some(_) => Ok(()),
            None => cache.keep_resolved(reference, *manifest),
        }
    }
}

fn no_cache(what: &str, error: &std::io::Error) {
    tracing::warn!(
        "module cache, {what}: {error}; the module is used, but will have to be fetched again after a restart"
    );
}

fn digest_of(headers: &HeaderMap) -> Option<Digest> {
    headers.get(DIGEST_HEADER)?.to_str().ok()?.parse().ok()
}
