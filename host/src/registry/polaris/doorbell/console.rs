//! The console as a doorbell: its list of instances is looked into four times a second, newest change first.
//!
//! To be looked into makes the server look into its store at once, so that a change is seen some milliseconds after it was made.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Request, Url};
use tokio::sync::mpsc::Sender;
use tokio::time::{MissedTickBehavior, interval};

use super::feed::{Feed, Page};
use super::{DoorbellConfig, Heard, News, Ring};
use crate::registry::RegistryError;
use crate::registry::polaris::PolarisConfig;
use crate::registry::polaris::token::Headers;
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

/// How a refusal begins.
const REFUSED: &str = "it refuses:";

/// The console of a server.
#[derive(Debug)]
pub(super) struct Console {
    client: Client,
    headers: Headers,
    instances: Url,
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
        Ok(Self { client: made, headers: Headers::new(&config.token)?, instances })
    }

    /// Looks until that fails, for the reason returned, or nobody listens any more.
    pub(super) async fn listen(&self, rings: &Sender<Ring>, heard: &mut Heard) -> Result<(), String> {
        let mut feed = Feed::default();
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut first = true;
        loop {
            ticks.tick().await;
            let news = self.look(&mut feed).await?;
            if std::mem::take(&mut first) {
                heard.works("the console's list of changes is the doorbell");
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

impl Page {
    fn words(&self) -> String {
        let info: String = self.info.iter().flat_map(|info| info.chars()).take(200).map(text::printable).collect();
        format!("{} ({info})", self.code)
    }
}
