//! An admission webhook that is there, and denies every write that it is asked about.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use k8s_openapi::ByteString;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The server. It ends when dropped.
pub(crate) struct Webhook {
    url: String,
    authority: String,
    task: AbortHandle,
}

impl Webhook {
    /// Starts one that denies by this HTTP status.
    pub(crate) async fn start(code: u16) -> Self {
        let (config, authority) = identity();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/validate", listener.local_addr().unwrap());
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(acceptor.clone(), client, code));
            }
        });
        Self { url, authority, task: task.abort_handle() }
    }

    /// How an API server is told of it.
    pub(crate) fn client_config(&self) -> Value {
        json!({"url": self.url, "caBundle": ByteString(self.authority.clone().into())})
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A certificate for this machine, and the authority (PEM) that it is from.
fn identity() -> (ServerConfig, String) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "polaris2istio webhook");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    (config, authority.pem())
}

async fn serve(acceptor: TlsAcceptor, client: TcpStream, code: u16) {
    let Ok(client) = acceptor.accept(client).await else { return };
    let service = service_fn(|request| deny(request, code));
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(client), service).await;
}

async fn deny(request: Request<Incoming>, code: u16) -> Result<Response<Full<Bytes>>, Failure> {
    let review: Value = serde_json::from_slice(&request.into_body().collect().await?.to_bytes())?;
    let answer = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {
            "uid": review["request"]["uid"],
            "allowed": false,
            "status": {"code": code, "message": "a fault that the tests inject"},
        },
    });
    Ok(Response::builder().header("content-type", "application/json").body(answer.to_string().into())?)
}
