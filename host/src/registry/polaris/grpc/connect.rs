//! Connects to a server: TCP, TLS where the address says so, and HTTP/2 on it.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::body::Body;
use tonic::client::GrpcService;

use crate::registry::RegistryError;
use crate::registry::polaris::{Address, PolarisConfig};

/// What of an answer may be on its way before it is read. A whole answer of a usual service fits.
const STREAM_WINDOW: u32 = 256 << 10;

/// The same of a connection.
const CONNECTION_WINDOW: u32 = 1 << 20;

/// The headers of an answer, in bytes.
const HEADERS: u32 = 16 << 10;

/// A connection that is silent for so long is asked for a sign of life, while a stream is open. Shorter ones are an offence to
/// gRPC's server, unless it has sent something in between, as a server that is polled has.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// A connection on which streams can be opened; it ends when all handles and streams have.
#[derive(Clone)]
pub(in crate::registry::polaris) struct Connection(SendRequest<Body>);

impl GrpcService<Body> for Connection {
    type ResponseBody = Incoming;
    type Error = hyper::Error;
    type Future = futures::future::BoxFuture<'static, Result<hyper::Response<Incoming>, hyper::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: hyper::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

impl Connection {
    /// Whether the server or the network has ended it.
    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Connects, within the time that a connection may take.
    pub(in crate::registry::polaris) async fn open(
        address: &Address,
        config: &PolarisConfig,
    ) -> Result<Self, RegistryError> {
        let opened = timeout(config.connect_timeout, Self::open_slowly(address, config)).await;
        opened.unwrap_or_else(|_| Err(too_late(address, config)))
    }

    async fn open_slowly(address: &Address, config: &PolarisConfig) -> Result<Self, RegistryError> {
        let stream = connect(address).await?;
        if address.is_tls() {
            Self::on(address, config, with_tls(address, config, stream).await?).await
        } else {
            Self::on(address, config, stream).await
        }
    }

    async fn on(
        address: &Address,
        config: &PolarisConfig,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Self, RegistryError> {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(config.total_timeout)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEADERS);
        let opened = builder.handshake(TokioIo::new(stream)).await;
        let (requests, connection) = opened.map_err(|error| unreachable(address, &error.to_string()))?;
        // Its errors come to whoever waits for an answer.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self(requests))
    }
}

/// Connects by TCP, to the first of the name's addresses that answers.
pub(super) async fn connect(address: &Address) -> Result<TcpStream, RegistryError> {
    let host = address.host();
    let found = tokio::net::lookup_host((host, address.port())).await.map_err(|error| RegistryError::Unresolved {
        address: address.to_string(),
        name: host.to_owned(),
        problem: error.to_string(),
    })?;
    let mut last = io::Error::other("the name has no address");
    for place in found {
        match TcpStream::connect(place).await {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(|error| unreachable(address, &error.to_string()))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(unreachable(address, &last.to_string()))
}

async fn with_tls(
    address: &Address,
    config: &PolarisConfig,
    stream: TcpStream,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, RegistryError> {
    let failed = |problem: String| RegistryError::Tls { address: address.to_string(), problem };
    let files = config.tls.clone();
    // Read for each connection: certificates are renewed under a running program.
    let read = tokio::task::spawn_blocking(move || files.config(&files.read()?)).await;
    let mut tls = read.map_err(|error| failed(error.to_string()))??;
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from(address.host().to_owned()).map_err(|error| failed(error.to_string()))?;
    TlsConnector::from(Arc::new(tls)).connect(name, stream).await.map_err(|error| failed(error.to_string()))
}

pub(super) fn unreachable(address: &Address, problem: &str) -> RegistryError {
    RegistryError::Unreachable { address: address.to_string(), problem: problem.to_owned() }
}

pub(super) fn too_late(address: &Address, config: &PolarisConfig) -> RegistryError {
    unreachable(address, &format!("no connection came about within {:?}", config.connect_timeout))
}
