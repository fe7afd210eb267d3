//! A gRPC server that answers as told, and misbehaves as told. It has messages of its own: they are what ours are compared with.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::stream::StreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::fake::DEADLINE;

#[derive(Clone, PartialEq, Message)]
struct Discover {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(message, optional, tag = "2")]
    service: Option<Service>,
}

/// An answer of Polaris.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Answer {
    #[prost(message, optional, tag = "1")]
    pub(crate) code: Option<u32>,
    #[prost(message, optional, tag = "2")]
    pub(crate) info: Option<String>,
    #[prost(int32, tag = "3")]
    pub(crate) kind: i32,
    #[prost(message, optional, tag = "4")]
    pub(crate) service: Option<Service>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) instances: Vec<Instance>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Service {
    #[prost(message, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub(crate) namespace: Option<String>,
    #[prost(map = "string, string", tag = "3")]
    pub(crate) metadata: HashMap<String, String>,
    #[prost(message, optional, tag = "15")]
    pub(crate) revision: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Instance {
    #[prost(message, optional, tag = "1")]
    pub(crate) id: Option<String>,
    #[prost(message, optional, tag = "4")]
    pub(crate) host: Option<String>,
    #[prost(message, optional, tag = "5")]
    pub(crate) port: Option<u32>,
    #[prost(message, optional, tag = "11")]
    pub(crate) healthy: Option<bool>,
    #[prost(map = "string, string", tag = "14")]
    pub(crate) metadata: HashMap<String, String>,
}

/// A question to the server.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) name: String,
    pub(crate) revision: String,
    pub(crate) token: Option<String>,
    /// Which connection and which stream of all, from 0.
    pub(crate) connection: usize,
    pub(crate) stream: usize,
}

/// The behaviour of the server.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    Answer(Answer),
    /// Answers after this time; the questions behind it wait.
    Late(Duration, Answer),
    /// These bytes as a message.
    Message(Vec<u8>),
    /// These bytes, a part of a message, and then nothing.
    Bytes(Vec<u8>),
    /// Ends the stream with a status.
    Status(u16, &'static str),
    /// Ends the connection.
    Cut,
    Hang,
}

/// An answer that lists instances, given as (id, host).
pub(crate) fn listed(name: &str, revision: &str, instances: &[(&str, &str)]) -> Say {
    let instance = |(id, host): &(&str, &str)| Instance {
        id: Some((*id).into()),
        host: Some((*host).into()),
        port: Some(80),
        healthy: Some(true),
        ..Instance::default()
    };
    Say::Answer(Answer {
        service: Some(service(name, revision)),
        instances: instances.iter().map(instance).collect(),
        ..code(200_000)
    })
}

pub(crate) fn unchanged(name: &str, revision: &str) -> Say {
    Say::Answer(Answer { service: Some(service(name, revision)), ..code(200_001) })
}

/// An answer with a code alone, as errors come.
pub(crate) fn code(code: u32) -> Answer {
    Answer { code: Some(code), info: Some("words".into()), kind: 1, ..Answer::default() }
}

fn service(name: &str, revision: &str) -> Service {
    let text = |text: &str| Some(text.to_owned());
    Service { name: text(name), namespace: text("shop"), revision: text(revision), ..Service::default() }
}

type Rule = Box<dyn FnMut(&Asked) -> Say + Send>;

struct State {
    asked: Vec<Asked>,
    connections: usize,
    streams: usize,
    rule: Rule,
}

/// The server; it ends, with all connections, when dropped.
pub(crate) struct GrpcFake {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for GrpcFake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl GrpcFake {
    pub(crate) async fn start(rule: impl FnMut(&Asked) -> Say + Send + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), rule).await
    }

    pub(crate) async fn start_at(address: SocketAddr, rule: impl FnMut(&Asked) -> Say + Send + 'static) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { asked: Vec::new(), connections: 0, streams: 0, rule: Box::new(rule) };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let state = Arc::clone(&shared);
                let number = std::mem::replace(&mut state.lock().unwrap().connections, 0);
                state.lock().unwrap().connections = number + 1;
                connections.spawn(async move {
                    let cut = Arc::new(Notify::new());
                    let end = Arc::clone(&cut);
                    let answer =
                        service_fn(move |request| answer(request, Arc::clone(&state), number, Arc::clone(&cut)));
                    let serve = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    tokio::select! {
                        _ = serve.serve_connection(TokioIo::new(stream), answer) => {}
                        () = end.notified() => {}
                    }
                });
            }
        });
        Self { address, state, task }
    }

    pub(crate) fn rule(&self, rule: impl FnMut(&Asked) -> Say + Send + 'static) {
        self.state.lock().unwrap().rule = Box::new(rule);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    /// Waits until what the server was asked satisfies a condition.
    pub(crate) async fn wait_for(&self, what: &str, mut condition: impl FnMut(&[Asked]) -> bool) {
        let start = Instant::now();
        while !condition(&self.state.lock().unwrap().asked) {
            assert!(start.elapsed() < DEADLINE, "no {what} in time");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn wait_for_more(&self, count: usize) {
        let before = self.asked().len();
        self.wait_for("further requests", |asked| asked.len() >= before + count).await;
    }
}

type Body = StreamBody<futures::channel::mpsc::UnboundedReceiver<Result<Frame<Bytes>, std::convert::Infallible>>>;

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
    connection: usize,
    cut: Arc<Notify>,
) -> Result<Response<Body>, std::convert::Infallible> {
    assert_eq!(request.uri().path(), "/v1.PolarisGRPC/Discover");
    let stream = std::mem::replace(&mut state.lock().unwrap().streams, 0);
    state.lock().unwrap().streams = stream + 1;
    let (frames, body) = unbounded();
    tokio::spawn(async move {
        if converse(request, state, (connection, stream), &frames).await.is_none() {
            cut.notify_one();
        }
    });
    let response = Response::builder().header("content-type", "application/grpc").body(StreamBody::new(body));
    Ok(response.unwrap())
}

/// Answers until the questions end; `None` if the connection is to be cut.
async fn converse(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
    (connection, stream): (usize, usize),
    frames: &UnboundedSender<Result<Frame<Bytes>, std::convert::Infallible>>,
) -> Option<()> {
    let token = request.headers().get("x-polaris-token").map(|token| token.to_str().unwrap().to_owned());
    let mut body = request.into_body().into_data_stream();
    let mut read = BytesMut::new();
    while let Some(Ok(data)) = body.next().await {
        read.extend_from_slice(&data);
        while let Some(message) = message(&mut read) {
            let question = Discover::decode(message).unwrap();
            assert_eq!(question.kind, 1);
            let service = question.service.unwrap();
            assert_eq!(service.namespace.as_deref(), Some("shop"));
            let asked = Asked {
                name: service.name.unwrap(),
                revision: service.revision.unwrap_or_default(),
                token: token.clone(),
                connection,
                stream,
            };
            let say = {
                let mut state = state.lock().unwrap();
                state.asked.push(asked.clone());
                (state.rule)(&asked)
            };
            match say {
                Say::Answer(answer) => data_frame(frames, framed(&answer.encode_to_vec())),
                Say::Late(time, answer) => {
                    tokio::time::sleep(time).await;
                    data_frame(frames, framed(&answer.encode_to_vec()));
                }
                Say::Message(message) => data_frame(frames, framed(&message)),
                Say::Bytes(bytes) => {
                    data_frame(frames, bytes);
                    std::future::pending::<()>().await;
                }
                Say::Status(status, words) => return end(frames, status, words),
                Say::Cut => return None,
                Say::Hang => std::future::pending().await,
            }
        }
    }
    end(frames, 0, "")
}

/// A message with its head.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], length.as_slice(), message].concat()
}

fn data_frame(frames: &UnboundedSender<Result<Frame<Bytes>, std::convert::Infallible>>, bytes: Vec<u8>) {
    let _ = frames.unbounded_send(Ok(Frame::data(bytes.into())));
}

fn end(
    frames: &UnboundedSender<Result<Frame<Bytes>, std::convert::Infallible>>,
    status: u16,
    words: &str,
) -> Option<()> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.into());
    trailers.insert("grpc-message", words.parse().unwrap());
    let _ = frames.unbounded_send(Ok(Frame::trailers(trailers)));
    Some(())
}

fn message(read: &mut BytesMut) -> Option<Bytes> {
    let length = u32::from_be_bytes(read.get(1..5)?.try_into().unwrap()) as usize;
    if read.len() < 5 + length {
        return None;
    }
    read.advance(5);
    Some(read.split_to(length).freeze())
}
