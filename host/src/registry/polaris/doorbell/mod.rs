//! The doorbell: it looks into the console's list of changes four times a second, and says which services to ask for.
//!
//! That list is enough only to know what to ask for; contents are asked for in the usual way. It makes the server look into its
//! store at once, so that a change is seen some milliseconds after it was made. Where the console refuses it, is slow, or tells
//! what is not so, services are asked for as without it.

mod feed;

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Request, Url};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::{info, warn};

use self::feed::{Feed, News, Page};
use super::token::Headers;
use super::{Address, PolarisConfig, TokenSource};
use crate::backoff::Backoff;
use crate::registry::RegistryError;
use crate::{http, text, tls};

/// How often it looks. Below this nothing is gained.
const EVERY: Duration = Duration::from_millis(250);

/// A look that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(2);

/// Instances of the first page, and of further ones; the console gives no more than the latter.
const FIRST: usize = 10;
const FURTHER: usize = 100;

/// Pages that are read for one look. With more news, all services are asked for.
const PAGES: usize = 20;

/// A page, in bytes: a hundred instances with all metadata that Polaris takes.
const PAGE_LIMIT: u64 = 8 << 20;

/// The waits while the console cannot be asked.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// How long a console is left alone that did not tell of changes.
const DISTRUST: Duration = Duration::from_secs(600);

/// Changes that were found without it, after which it is not trusted.
const MISSED: u32 = 3;

/// Where the doorbell is.
#[derive(Debug, Clone)]
pub struct DoorbellConfig {
    /// The server's HTTP port, which serves the console too.
    pub address: Address,
    /// A token of a user, where the console wants one.
    pub token: TokenSource,
}

/// What it says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ring {
    /// What is new.
    News(News),
    /// It says nothing more for now.
    Silent,
}

/// The doorbell, as the follower hears it. It ends with the value.
#[derive(Debug)]
pub(super) struct Doorbell {
    rings: Receiver<Ring>,
    task: AbortHandle,
    /// Whether it can be relied on now.
    works: bool,
    distrusted_until: Option<Instant>,
    missed: u32,
}

impl Drop for Doorbell {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Doorbell {
    /// Begins to listen.
    pub(super) fn start(console: Console) -> Self {
        let (sender, rings) = channel(1);
        let task = tokio::spawn(console.listen(sender)).abort_handle();
        Self { rings, task, works: false, distrusted_until: None, missed: 0 }
    }

    /// The next that it says which matters; dropped while it waits, it loses nothing.
    pub(super) async fn next(&mut self) -> Option<Ring> {
        loop {
            let ring = self.rings.recv().await?;
            let trusted = self.distrusted_until.is_none_or(|until| until <= Instant::now());
            match ring {
                Ring::News(mut news) if trusted => {
                    // What happened before it worked, it did not tell.
                    news.more |= !std::mem::replace(&mut self.works, true);
                    return Some(Ring::News(news));
                }
                Ring::Silent if std::mem::take(&mut self.works) => return Some(Ring::Silent),
                Ring::News(_) | Ring::Silent => {}
            }
        }
    }

    /// A change was found that it should have told. Returns whether it is no longer relied on.
    pub(super) fn missed(&mut self, now: Instant) -> bool {
        self.missed += 1;
        if !self.works || self.missed < MISSED {
            return false;
        }
        warn!(
            "the console did not tell of {MISSED} changes; services are asked for as without the doorbell for {DISTRUST:?}. It must \
             be the console of the same servers"
        );
        (self.works, self.missed, self.distrusted_until) = (false, 0, Some(now + DISTRUST));
        true
    }
}

/// The console of a server.
#[derive(Debug)]
pub(super) struct Console {
    client: Client,
    headers: Headers,
    instances: Url,
    shown: String,
}

impl Console {
    pub(super) fn new(config: &DoorbellConfig, registry: &PolarisConfig) -> Result<Self, RegistryError> {
        let client = |problem: String| RegistryError::Client { problem };
        let tls = match config.address.is_tls() {
            true => registry.tls.config(&registry.tls.read()?)?,
            false => tls::nobody().map_err(|error| client(error.to_string()))?,
        };
        let timed = |builder: reqwest::ClientBuilder| builder.timeout(PATIENCE);
        let made = http::client(tls, registry.connect_timeout, timed).map_err(client)?;
        let mut instances = config.address.discover_url().clone();
        instances.set_path("/naming/v1/instances");
        let (headers, shown) = (Headers::new(&config.token)?, config.address.to_string());
        Ok(Self { client: made, headers, instances, shown })
    }

    /// Looks again and again, until nobody listens.
    async fn listen(self, rings: Sender<Ring>) {
        let (mut backoff, mut said) = (Backoff::new(WAITS), None);
        loop {
            let Err(problem) = self.look_on(&rings, &mut said, &mut backoff).await else { return };
            if said.as_ref() != Some(&problem) {
                warn!(
                    address = self.shown,
                    "no doorbell: {problem}; services are asked for as without it. It needs the console's API of the server's HTTP port, \
                     and a token of a user where the console wants one (--doorbell-token-file)"
                );
            }
            said = Some(problem);
            if rings.send(Ring::Silent).await.is_err() {
                return;
            }
            sleep(backoff.next()).await;
        }
    }

    /// Looks until that fails, for the reason returned.
    async fn look_on(
        &self,
        rings: &Sender<Ring>,
        said: &mut Option<String>,
        backoff: &mut Backoff,
    ) -> Result<(), String> {
        let mut feed = Feed::default();
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut first = true;
        loop {
            ticks.tick().await;
            let news = self.look(&mut feed).await?;
            if std::mem::take(&mut first) {
                info!(address = self.shown, "the console's list of changes is the doorbell");
                (*said, *backoff) = (None, Backoff::new(WAITS));
            }
            let quiet = news == News::default();
            if !quiet && rings.send(Ring::News(news)).await.is_err() || rings.is_closed() {
                return Ok(());
            }
        }
    }

    async fn look(&self, feed: &mut Feed) -> Result<News, String> {
        let first = self.page(0, FIRST).await?;
        if !feed.goes_on(&first, FIRST) {
            return Ok(feed.take(&[first], false));
        }
        let mut pages = Vec::new();
        loop {
            let page = self.page(pages.len() * FURTHER, FURTHER).await?;
            let goes_on = feed.goes_on(&page, FURTHER);
            pages.push(page);
            if !goes_on || pages.len() == PAGES {
                return Ok(feed.take(&pages, goes_on));
            }
        }
    }

    /// A page of the list; once more where the token has changed since.
    async fn page(&self, offset: usize, limit: usize) -> Result<Page, String> {
        let used = self.headers.get();
        let token = self.headers.token();
        match self.request(offset, limit, used).await {
            Err(problem) if token.is_some() && problem.starts_with(REFUSED) => {
                match self.headers.renew(token.as_ref()).await {
                    Ok(true) => self.request(offset, limit, self.headers.get()).await,
                    Ok(false) => Err(problem),
                    Err(error) => Err(error.to_string()),
                }
            }
            other => other,
        }
    }

    async fn request(&self, offset: usize, limit: usize, headers: HeaderMap) -> Result<Page, String> {
        let mut url = self.instances.clone();
        url.set_query(Some(&format!("offset={offset}&limit={limit}")));
        let mut request = Request::new(Method::GET, url);
        *request.headers_mut() = headers;
        let mut response = self.client.execute(request).await.map_err(http::problem)?;
        let status = response.status();
        let body =
            http::read(&mut response, PAGE_LIMIT).await.map_err(|_| "its list is too large or cut".to_owned())?;
        // The parser's words might repeat what is in it.
        let page: Result<Page, _> = serde_json::from_slice(&body);
        match page {
            Ok(page) if page.code == 200_000 => Ok(page),
            Ok(page) if status.as_u16() == 401 => Err(format!("{REFUSED} {}", page.words())),
            Ok(page) => Err(format!("it answers {}", page.words())),
            Err(_) => Err(format!("it answers HTTP {status} with no list of instances")),
        }
    }
}

/// How a refusal begins.
const REFUSED: &str = "it refuses:";

impl Page {
    fn words(&self) -> String {
        let info: String = self.info.iter().flat_map(|info| info.chars()).take(200).map(text::printable).collect();
        format!("{} ({info})", self.code)
    }
}
