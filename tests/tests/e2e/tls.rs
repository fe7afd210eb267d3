//! Polaris behind TLS: an authority of one's own, a certificate of ours, and new ones of both under a running controller.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use polaris2istio_tests::servers::{self, Directory};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::controller::Start;
use super::world::World;

/// An authority with a certificate for a server and one for a client, as files.
struct Issuer {
    authority: PathBuf,
    server: (PathBuf, PathBuf),
    client: (PathBuf, PathBuf),
}

impl Issuer {
    fn new(directory: &Directory, name: &str) -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, name);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let issue = |whom: &str, host: &str| {
            let key = KeyPair::generate().unwrap();
            let certificate =
                CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
            let certificate = directory.write(&format!("{name}-{whom}.crt"), certificate.pem());
            (certificate, directory.write(&format!("{name}-{whom}.key"), key.serialize_pem()))
        };
        Self {
            server: issue("server", "127.0.0.1"),
            client: issue("client", "polaris2istio"),
            authority: directory.write(&format!("{name}.crt"), authority.pem()),
        }
    }

    /// A server with this authority's certificate, which asks clients for one of `clients`.
    fn server(&self, clients: Option<&Issuer>) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(issuer) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_file(&issuer.authority).unwrap()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let certificate = CertificateDer::from_pem_file(&self.server.0).unwrap();
        let key = PrivateKeyDer::from_pem_file(&self.server.1).unwrap();
        let mut config = builder.with_single_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

/// What is spoken within TLS.
#[derive(Clone, Copy)]
enum Within {
    Http,
    Grpc,
}

/// A server that ends TLS before Polaris. It lives as long as the test's runtime.
struct Terminator {
    address: String,
    config: Arc<Mutex<Arc<ServerConfig>>>,
    connections: Arc<Mutex<tokio::task::JoinSet<()>>>,
}

impl Terminator {
    async fn before(within: Within, config: Arc<ServerConfig>) -> Self {
        let polaris = &servers::shared().await.unwrap().polaris;
        let (scheme, server) = match within {
            Within::Http => ("https", polaris.http_address()),
            Within::Grpc => ("grpcs", polaris.grpc_address()),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("{scheme}://{}", listener.local_addr().unwrap());
        let config = Arc::new(Mutex::new(config));
        let (shared, connections) = (Arc::clone(&config), Arc::new(Mutex::new(tokio::task::JoinSet::new())));
        let all = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = TlsAcceptor::from(Arc::clone(&shared.lock().unwrap()));
                all.lock().unwrap().spawn(relay(acceptor, client, server.clone()));
            }
        });
        Self { address, config, connections }
    }

    /// Restarts it with another configuration: connections end, as a server's do that restarts.
    fn restart(&self, config: Arc<ServerConfig>) {
        *self.config.lock().unwrap() = config;
        self.connections.lock().unwrap().abort_all();
    }
}

async fn relay(acceptor: TlsAcceptor, client: TcpStream, server: String) {
    let Ok(mut client) = acceptor.accept(client).await else { return };
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    // However it ends: a refusal is the client's to see.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

fn file(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn with_identity(start: Start, identity: &(PathBuf, PathBuf)) -> Start {
    start.flag("polaris-cert-file", file(&identity.0)).flag("polaris-key-file", file(&identity.1))
}

#[tokio::test]
async fn an_authority_of_ones_own_is_named() {
    check_authority("tls", Within::Http).await;
}

#[tokio::test]
async fn an_authority_of_ones_own_is_named_by_grpc() {
    check_authority("tls-grpc", Within::Grpc).await;
}

async fn check_authority(namespace: &str, within: Within) {
    let Some((world, _)) = World::shared(namespace).await else { return };
    let directory = Directory::new("tls");
    let issuer = Issuer::new(&directory, "one");
    let terminator = Terminator::before(within, issuer.server(None)).await;
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    let start = || world.controller().flag("polaris-address", &terminator.address);
    let mut stranger = start().start();
    stranger.says(&["WARN", &terminator.address, "no TLS", "UnknownIssuer", "--polaris-ca-file"]).await;
    world.endpoints("cart", &[]).await;
    assert!(stranger.stop().await.success());
    let _controller = start().flag("polaris-ca-file", file(&issuer.authority)).start();
    world.endpoints("cart", &["10.0.0.1"]).await;
}

#[tokio::test]
async fn certificates_are_shown_and_renewed() {
    check_renewed("mtls", Within::Http).await;
}

#[tokio::test]
async fn certificates_are_shown_and_renewed_by_grpc() {
    check_renewed("mtls-grpc", Within::Grpc).await;
}

async fn check_renewed(namespace: &str, within: Within) {
    let Some((world, _)) = World::shared(namespace).await else { return };
    let directory = Directory::new("mtls");
    let (old, new) = (Issuer::new(&directory, "old"), Issuer::new(&directory, "new"));
    let terminator = Terminator::before(within, old.server(Some(&old))).await;
    world.register("cart", &["10.0.0.1"]).await;
    world.create(&world.entry("cart")).await;
    let copy = |from: &Path, to: &str| directory.write(to, std::fs::read(from).unwrap());
    let ours = |issuer: &Issuer| {
        copy(&issuer.authority, "ca.crt");
        (copy(&issuer.client.0, "tls.crt"), copy(&issuer.client.1, "tls.key"))
    };
    let identity = ours(&old);
    let authority = directory.path().join("ca.crt");
    let start =
        || world.controller().flag("polaris-address", &terminator.address).flag("polaris-ca-file", file(&authority));
    let mut without = start().start();
    match within {
        Within::Http => without.says(&["WARN", "no TLS", "CertificateRequired", "--polaris-cert-file"]).await,
        // The server's alert comes when the stream is open already, and ends that.
        Within::Grpc => {
            without.says(&["WARN", &terminator.address, "ended the connection", "--polaris-cert-file"]).await
        }
    }
    world.endpoints("cart", &[]).await;
    assert!(without.stop().await.success());
    let controller = with_identity(start(), &identity).start();
    world.endpoints("cart", &["10.0.0.1"]).await;
    // Everything is another's from one moment to the next, and only then do the files follow.
    terminator.restart(new.server(Some(&new)));
    controller.says(&["WARN", &terminator.address]).await;
    ours(&new);
    world.register("cart", &["10.0.0.2"]).await;
    world.endpoints("cart", &["10.0.0.1", "10.0.0.2"]).await;
    controller.says(&["the registry answers again"]).await;
    for key in [&old.client.1, &new.client.1] {
        let key = std::fs::read_to_string(key).unwrap();
        assert!(!controller.process.log().contains(key.lines().nth(1).unwrap()));
    }
}

#[tokio::test]
async fn unfit_files_are_named() {
    let Some((world, _)) = World::shared("tls-files").await else { return };
    let directory = Directory::new("tls-files");
    let (one, other) = (Issuer::new(&directory, "one"), Issuer::new(&directory, "other"));
    let nothing = directory.write("nothing.pem", "no PEM at all");
    let absent = directory.path().join("absent.pem");
    let cases = [
        (&absent, &one.client.0, &one.client.1, "absent.pem: No such file"),
        (&nothing, &one.client.0, &one.client.1, "nothing.pem: it holds no certificate"),
        (&one.authority, &nothing, &one.client.1, "nothing.pem: it holds no certificate"),
        (&one.authority, &one.client.0, &nothing, "the key is no PEM private key"),
        (&one.authority, &one.client.0, &other.client.1, "certificate and key do not go together"),
    ];
    for (authority, certificate, key, words) in cases {
        let start = world.controller().flag("polaris-address", "https://127.0.0.1:1");
        let start = start.flag("polaris-ca-file", file(authority));
        let mut controller = with_identity(start, &(certificate.clone(), key.clone())).start();
        assert_eq!(controller.process.wait(super::SOON).await.code(), Some(1));
        assert_eq!(controller.said(&["error:", words]), 1, "no `{words}` in {:#?}", controller.log());
    }
}
