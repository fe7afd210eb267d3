//! One connection: it stays by a sign of life every five seconds, and each push on it is acknowledged.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{BoxStream, FuturesUnordered, StreamExt as _, TryStreamExt as _, once};
use hyper::http::uri::PathAndQuery;
use tokio::sync::mpsc::Sender;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic::client::Grpc;
use tonic::{Request, Status};

use super::message::{Coming, Payload, answered, coming};
use super::name::Name;
use super::{Nacos, WORDS};
use crate::registry::ServiceKey;
use crate::registry::polaris::doorbell::{Heard, News, Ring, Wanted};
use crate::registry::polaris::grpc::{Connection, RawAnswers, client};
use crate::text;

/// How often a sign of life goes out; after twenty seconds without one the server ends the connection.
const BEAT: Duration = Duration::from_secs(5);

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(5);

/// Subscriptions under way at once.
const AT_ONCE: usize = 64;

/// Services that nobody follows any more, beside as many as are followed, with which the connection is made anew.
const ABANDONED: usize = 100;

const REQUEST: PathAndQuery = PathAndQuery::from_static("/Request/request");
const STREAM: PathAndQuery = PathAndQuery::from_static("/BiRequestStream/requestBiStream");

/// The end of a connection that did not fail.
pub(super) enum Ended {
    /// Nobody listens any more.
    Unheard,
    /// Another connection is to be made at once.
    Again,
}

/// What came back.
enum Answer {
    Beat,
    Subscribed(Name),
}

pub(super) struct Session {
    calls: Grpc<Connection>,
    pushes: BoxStream<'static, Result<Bytes, Status>>,
    said: UnboundedSender<Payload>,
    token: Option<String>,
    under_way: FuturesUnordered<BoxFuture<'static, Result<Answer, String>>>,
    /// The services of each name that was, or is to be, subscribed to; none, if they are not followed any more.
    names: HashMap<Name, Wanted>,
    /// Names that are not subscribed to yet.
    waiting: VecDeque<Name>,
    /// Subscriptions under way.
    subscribing: usize,
    /// What was not told yet.
    news: News,
    /// Whether the server has answered, and then whether all has been told to be asked for.
    alive: bool,
    works: bool,
}

impl Session {
    pub(super) async fn open(nacos: &Nacos) -> Result<Self, String> {
        let connection = Connection::open(&nacos.address, &nacos.config).await.map_err(|error| error.to_string())?;
        let calls = client(connection, &nacos.address, nacos.config.body_limit).map_err(|status| meaning(&status))?;
        let (said, requests) = unbounded();
        let _ = said.unbounded_send(Payload::setup());
        let mut stream = calls.clone();
        // The server begins to answer with the first push, so the stream must not be waited for.
        let opened = async move {
            stream.ready().await.map_err(|error| Status::from_error(error.into()))?;
            Ok::<_, Status>(stream.streaming(Request::new(requests), STREAM, RawAnswers::default()).await?.into_inner())
        };
        let token = nacos.headers.token().and_then(|token| token.to_str().ok().map(ToOwned::to_owned));
        Ok(Self {
            calls,
            pushes: once(opened).try_flatten().boxed(),
            said,
            token,
            under_way: FuturesUnordered::new(),
            names: HashMap::new(),
            waiting: VecDeque::new(),
            subscribing: 0,
            news: News::default(),
            alive: false,
            works: false,
        })
    }

    /// Listens until the connection fails or ends.
    pub(super) async fn run(
        mut self,
        rings: &Sender<Ring>,
        wanted: &mut watch::Receiver<Wanted>,
        heard: &mut Heard,
    ) -> Result<Ended, String> {
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        wanted.mark_changed();
        loop {
            self.subscribe_more();
            self.begin(heard);
            tokio::select! {
                // The stream comes first, so that it is there when the first subscription is.
                biased;
                push = self.pushes.next() => {
                    let push = push.ok_or("it ended the stream")?.map_err(|status| meaning(&status))?;
                    if self.pushed(&push)? {
                        return Ok(Ended::Again);
                    }
                }
                Some(answer) = self.under_way.next(), if !self.under_way.is_empty() => self.answered(answer?),
                permit = rings.reserve(), if self.works && self.news != News::default() => {
                    let Ok(permit) = permit else { return Ok(Ended::Unheard) };
                    permit.send(Ring::News(std::mem::take(&mut self.news)));
                }
                changed = wanted.changed() => {
                    if changed.is_err() {
                        return Ok(Ended::Unheard);
                    }
                    if self.follow(&wanted.borrow_and_update()) {
                        return Ok(Ended::Again);
                    }
                }
                _ = beats.tick() => self.ask(Payload::health_check(), Answer::Beat),
            }
        }
    }

    /// Once all is subscribed to, it is told that anything may have changed before.
    fn begin(&mut self, heard: &mut Heard) {
        if self.alive && !self.works && self.waiting.is_empty() && self.subscribing == 0 {
            heard.works("the server's imitation of Nacos is the doorbell");
            (self.works, self.news.more) = (true, true);
        }
    }

    /// Sets what is followed. Returns whether too much of what was subscribed to is not followed any more.
    fn follow(&mut self, wanted: &Wanted) -> bool {
        for services in self.names.values_mut() {
            services.retain(|service| wanted.contains(service));
        }
        for service in wanted {
            let name = Name::of(service);
            let services = self.names.entry(name.clone()).or_insert_with(|| {
                self.waiting.push_back(name);
                Wanted::new()
            });
            services.insert(Arc::clone(service));
        }
        let abandoned = self.names.values().filter(|services| services.is_empty()).count();
        abandoned > wanted.len().max(ABANDONED)
    }

    fn subscribe_more(&mut self) {
        while self.alive && self.subscribing < AT_ONCE {
            let Some(name) = self.waiting.pop_front() else { return };
            self.subscribing += 1;
            self.ask(Payload::subscribe(&name, self.token.as_deref()), Answer::Subscribed(name));
        }
    }

    fn ask(&mut self, payload: Payload, answer: Answer) {
        let asked = ask(self.calls.clone(), payload).map(|result| result.map(|()| answer));
        self.under_way.push(asked.boxed());
    }

    fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Beat => self.alive = true,
            Answer::Subscribed(name) => {
                self.subscribing -= 1;
                // It may have changed before.
                self.ring(&name);
            }
        }
    }

    /// Takes what came by the stream. Returns whether the server wants another connection.
    fn pushed(&mut self, message: &[u8]) -> Result<bool, String> {
        match coming(message)? {
            Coming::Push(push) => {
                let _ = self.said.unbounded_send(push.taken());
                self.ring(&push.name());
                Ok(false)
            }
            Coming::Reset => Ok(true),
            Coming::Other => Ok(false),
        }
    }

    fn ring(&mut self, name: &Name) {
        let services = self.names.get(name).into_iter().flatten();
        self.news.services.extend(services.map(|service| ServiceKey::clone(service)));
    }
}

async fn ask(mut calls: Grpc<Connection>, payload: Payload) -> Result<(), String> {
    let unary = async {
        calls.ready().await.map_err(|error| Status::from_error(error.into()))?;
        calls.unary(Request::new(payload), REQUEST, RawAnswers::default()).await
    };
    let answer = timely(unary).await?.map_err(|status| meaning(&status))?;
    answered(answer.get_ref())
}

async fn timely<T>(future: impl Future<Output = T>) -> Result<T, String> {
    timeout(PATIENCE, future).await.map_err(|_| format!("it does not answer within {PATIENCE:?}"))
}

fn meaning(status: &Status) -> String {
    format!("it answers {:?} ({})", status.code(), text::shown(status.message(), WORDS))
}
