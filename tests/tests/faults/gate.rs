//! A proxy that understands HTTP, before Polaris or the API server: what it does with each request is a rule's.
//!
//! To the controller it speaks without TLS, so that answers can be changed; to the server it speaks as the server wants.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::deed::{Asked, Deed};

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, Failure>;
type Rule = Arc<dyn Fn(&Asked<'_>) -> Deed + Send + Sync>;

/// Between two bytes of an answer that trickles.
const TRICKLE: Duration = Duration::from_secs(1);

/// The proxy. It lives as long as the test's runtime.
pub(crate) struct Gate {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: String,
    client: reqwest::Client,
    rule: watch::Sender<Option<Rule>>,
    /// Whether nothing of a watch gets through.
    silent: watch::Sender<bool>,
    /// Requests, and parts of watches, that met the fault.
    struck: AtomicUsize,
    /// Requests that wait for the end of the fault.
    waiting: watch::Sender<usize>,
    connections: Mutex<JoinSet<()>>,
}

impl Gate {
    /// Starts one before a server, as `http://host:port` or `https://host:port` with its authority (PEM).
    pub(crate) async fn before(server: &str, authority: Option<&[u8]>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = reqwest::Client::builder().no_proxy().http1_only();
        let client = match authority {
            Some(pem) => client.tls_certs_only([reqwest::Certificate::from_pem(pem).unwrap()]),
            None => client,
        };
        let shared = Arc::new(Shared {
            server: server.to_owned(),
            client: client.build().unwrap(),
            rule: watch::Sender::new(None),
            silent: watch::Sender::new(false),
            struck: AtomicUsize::new(0),
            waiting: watch::Sender::new(0),
            connections: Mutex::default(),
        });
        tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared }
    }

    /// Its host and port.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on requests are dealt with by a rule.
    pub(crate) fn set(&self, rule: impl Fn(&Asked<'_>) -> Deed + Send + Sync + 'static) {
        self.shared.rule.send_replace(Some(Arc::new(rule)));
    }

    /// All requests have one fate.
    pub(crate) fn all(&self, deed: Deed) {
        self.set(move |_| deed.clone());
    }

    /// The fault is over.
    ///
    /// # Panics
    ///
    /// When nothing has met it: then the row would show nothing.
    pub(crate) fn clear(&self) {
        assert!(self.shared.struck.load(Ordering::Relaxed) > 0, "the fault has met no request");
        self.shared.rule.send_replace(None);
        self.shared.silent.send_replace(false);
    }

    /// Nothing of any watch gets through, though its connection stays.
    pub(crate) fn silence(&self) {
        self.shared.silent.send_replace(true);
    }

    /// Ends all connections, and so all watches.
    pub(crate) fn cut(&self) {
        self.shared.connections.lock().unwrap().abort_all();
    }

    /// Waits until a request waits for the end of the fault.
    pub(crate) async fn holds(&self) {
        let mut waiting = self.shared.waiting.subscribe();
        tokio::time::timeout(super::SOON, waiting.wait_for(|waiting| *waiting > 0))
            .await
            .expect("a request is held")
            .expect("the gate lives");
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let mut connections = shared.connections.lock().unwrap();
        while connections.try_join_next().is_some() {}
        connections.spawn(serve(client, Arc::clone(&shared)));
    }
}

async fn serve(client: TcpStream, shared: Arc<Shared>) {
    // A second handle: the last one that is closed decides between an end and a reset.
    let client = client.into_std().unwrap();
    let spare = TcpStream::from_std(client.try_clone().unwrap()).unwrap();
    let client = TcpStream::from_std(client).unwrap();
    let reset = AtomicBool::new(false);
    let service = service_fn(|request| answer(request, &shared, &reset));
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(client), service).await;
    if reset.load(Ordering::Relaxed) {
        let _ = spare.set_zero_linger();
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: &Arc<Shared>,
    reset: &AtomicBool,
) -> Result<Response<Body>, Failure> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let asked = Asked { method: &head.method, uri: &head.uri, body: &body };
    let watches = asked.watches();
    let rule = shared.rule.borrow().clone();
    let deed = rule.map_or(Deed::Pass, |rule| rule(&asked));
    if !matches!(deed, Deed::Pass) {
        shared.struck.fetch_add(1, Ordering::Relaxed);
    }
    match &deed {
        Deed::Hang => shared.until_over().await,
        Deed::Delay(time) => sleep(*time).await,
        Deed::Reply(code, kind, text) => {
            let answer = Response::builder().status(*code).header("content-type", *kind);
            return Ok(answer.body(whole(text.clone()))?);
        }
        _ => {}
    }
    let mut headers = head.headers;
    headers.remove(HOST);
    let url = format!("{}{}", shared.server, head.uri);
    let sent = shared.client.request(head.method, url).headers(headers).body(body).send().await?;
    let (mut head, body) = Response::<reqwest::Body>::from(sent).into_parts();
    head.headers.remove(TRANSFER_ENCODING);
    head.headers.remove(CONNECTION);
    let body = match deed {
        Deed::HoldAnswer => {
            shared.until_over().await;
            body.map_err(Failure::from).boxed_unsync()
        }
        Deed::Cut => {
            reset.store(true, Ordering::Relaxed);
            half(body.collect().await?.to_bytes())
        }
        Deed::Trickle => trickle(body.collect().await?.to_bytes()),
        Deed::Change(change) => {
            head.headers.remove(CONTENT_LENGTH);
            let answer = serde_json::from_slice(&body.collect().await?.to_bytes())?;
            whole(change(answer).to_string().into())
        }
        _ if watches => shared.watched(body),
        _ => body.map_err(Failure::from).boxed_unsync(),
    };
    Ok(Response::from_parts(head, body))
}

impl Shared {
    async fn until_over(&self) {
        let _waits = Waits::new(&self.waiting);
        let _ = self.rule.subscribe().wait_for(Option::is_none).await;
    }

    /// A body whose parts wait while watches are silent.
    fn watched(self: &Arc<Self>, body: reqwest::Body) -> Body {
        let parts = stream::unfold((body, Arc::clone(self)), |(mut body, shared)| async move {
            let part = body.frame().await?;
            let mut silent = shared.silent.subscribe();
            if *silent.borrow() {
                shared.struck.fetch_add(1, Ordering::Relaxed);
            }
            let _ = silent.wait_for(|silent| !silent).await;
            Some((part.map_err(Failure::from), (body, shared)))
        });
        StreamBody::new(parts).boxed_unsync()
    }
}

/// Counts for as long as it lives, also when the client goes away.
struct Waits<'a>(&'a watch::Sender<usize>);

impl<'a> Waits<'a> {
    fn new(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|waiting| *waiting += 1);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed_unsync()
}

fn half(bytes: Bytes) -> Body {
    let half = bytes.slice(..bytes.len() / 2);
    let parts = [Ok(Frame::data(half)), Err(Failure::from("the other half is cut off"))];
    StreamBody::new(stream::iter(parts)).boxed_unsync()
}

fn trickle(bytes: Bytes) -> Body {
    let parts = stream::unfold(bytes, |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        sleep(TRICKLE).await;
        let byte = rest.split_to(1);
        Some((Ok::<_, Failure>(Frame::data(byte)), rest))
    });
    StreamBody::new(parts).boxed_unsync()
}
