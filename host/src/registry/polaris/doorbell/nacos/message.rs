//! The messages of Nacos 2's gRPC, with the fields that are used: an envelope that names what is in it, and JSON in the envelope.
//!
//! The field numbers are those of `nacos_grpc_service.proto` of Nacos 2.0; the JSON is that of its Java classes, as Polaris
//! 1.18.1 has them in `apiserver/nacosserver/v2/pb`.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::{DecodeError, Message};
use serde::Deserialize;
use serde_json::{Value, json};

use super::WORDS;
use super::name::Name;
use crate::text;

/// The word for all that went well.
const SUCCESS: i32 = 200;

/// A token's place in the envelope.
const TOKEN: &str = "accessToken";

#[derive(Clone, PartialEq, Message)]
pub(super) struct Payload {
    #[prost(message, optional, tag = "2")]
    metadata: Option<Metadata>,
    #[prost(message, optional, tag = "3")]
    body: Option<Body>,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(string, tag = "3")]
    kind: String,
    #[prost(btree_map = "string, string", tag = "7")]
    headers: BTreeMap<String, String>,
}

/// `google.protobuf.Any`, whose own kind nobody sets here.
#[derive(Clone, PartialEq, Message)]
struct Body {
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// What a push is about.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Push {
    request_id: String,
    namespace: String,
    service_name: String,
    group_name: String,
}

/// What comes by the stream.
#[derive(Debug)]
pub(super) enum Coming {
    /// A service has changed.
    Push(Push),
    /// The server wants the connection to be made anew.
    Reset,
    /// Nothing that matters here.
    Other,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    result_code: i32,
    #[serde(default)]
    message: String,
}

impl Payload {
    fn new(kind: &str, token: Option<&str>, body: &Value) -> Self {
        let headers = token.map(|token| (TOKEN.to_owned(), token.to_owned())).into_iter().collect();
        let body = Body { value: body.to_string().into() };
        Self { metadata: Some(Metadata { kind: kind.to_owned(), headers }), body: Some(body) }
    }

    /// The first on a stream.
    pub(super) fn setup() -> Self {
        Self::new("ConnectionSetupRequest", None, &json!({"module": "internal", "clientVersion": "polaris2istio"}))
    }

    /// The sign of life.
    pub(super) fn health_check() -> Self {
        Self::new("HealthCheckRequest", None, &json!({"module": "internal"}))
    }

    pub(super) fn subscribe(name: &Name, token: Option<&str>) -> Self {
        let Name { namespace, group, service } = name;
        let body = json!({
            "module": "naming", "namespace": namespace, "serviceName": service, "groupName": group, "clusters": "", "subscribe": true,
        });
        Self::new("SubscribeServiceRequest", token, &body)
    }

    fn kind(&self) -> &str {
        self.metadata.as_ref().map(|metadata| &*metadata.kind).unwrap_or_default()
    }

    fn json(&self) -> &[u8] {
        self.body.as_ref().map(|body| &*body.value).unwrap_or_default()
    }
}

impl Push {
    pub(super) fn name(self) -> Name {
        // Nacos's own servers put the group before the name.
        let service =
            self.service_name.rsplit_once("@@").map_or(self.service_name.clone(), |(_, name)| name.to_owned());
        Name { namespace: self.namespace, group: self.group_name, service }
    }

    /// The word that it was taken, without which the server thinks that nobody is there.
    pub(super) fn taken(&self) -> Payload {
        let body = json!({"resultCode": SUCCESS, "errorCode": 0, "success": true, "requestId": self.request_id});
        Payload::new("NotifySubscriberResponse", None, &body)
    }
}

/// Reads what comes by the stream.
pub(super) fn coming(message: &[u8]) -> Result<Coming, String> {
    let payload = Payload::decode(message).map_err(|error| broken(&error))?;
    match payload.kind() {
        "NotifySubscriberRequest" => {
            // The parser's words might repeat what is in it.
            let push = serde_json::from_slice(payload.json());
            push.map(Coming::Push).map_err(|_| "it pushes what cannot be read".to_owned())
        }
        "ConnectResetRequest" => Ok(Coming::Reset),
        _ => Ok(Coming::Other),
    }
}

/// Reads the answer to a request: whether all went well.
pub(super) fn answered(message: &[u8]) -> Result<(), String> {
    let payload = Payload::decode(message).map_err(|error| broken(&error))?;
    let response: Response =
        serde_json::from_slice(payload.json()).map_err(|_| "it answers what cannot be read".to_owned())?;
    if response.result_code == SUCCESS {
        return Ok(());
    }
    Err(format!("it answers {} ({})", response.result_code, text::shown(&response.message, WORDS)))
}

fn broken(error: &DecodeError) -> String {
    format!("it speaks no Nacos: {error:.200}")
}
