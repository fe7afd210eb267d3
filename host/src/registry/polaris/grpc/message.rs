//! The messages of `v1.PolarisGRPC/Discover`, with the fields that are used and no others. Unknown ones are read over, an
//! instance's `service_token` among them.
//!
//! The field numbers are those of Polaris's specification, version 1.4.2: `DiscoverRequest` in `service_manage/request.proto`,
//! `DiscoverResponse` in `response.proto`, `Service` and `Instance` in `service.proto`, `Location` in `model/model.proto`.
//! Values that may be unset are wrapped there (`google.protobuf.StringValue` and so on), which here are optional messages.

use std::collections::BTreeMap;

use prost::Message;

/// `DiscoverRequestType.INSTANCE`, and the same of `DiscoverResponseType`.
pub(super) const INSTANCE: i32 = 1;

/// `DiscoverRequestType.SERVICES`, and the same of `DiscoverResponseType`.
pub(super) const SERVICES: i32 = 6;

/// The tag of `ServicesResponse.services`.
pub(super) const RESPONSE_SERVICES: u32 = 9;

/// The tag of `DiscoverResponse.service`.
pub(super) const RESPONSE_SERVICE: u32 = 4;

/// The tag of `DiscoverResponse.instances`.
pub(super) const RESPONSE_INSTANCES: u32 = 5;

/// The tag of `Service.metadata`.
pub(super) const SERVICE_METADATA: u32 = 3;

/// The tag of `Instance.metadata`.
pub(super) const INSTANCE_METADATA: u32 = 14;

#[derive(Clone, PartialEq, Message)]
pub(super) struct DiscoverRequest {
    #[prost(int32, tag = "1")]
    pub(super) kind: i32,
    #[prost(message, optional, tag = "2")]
    pub(super) service: Option<Service>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DiscoverResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) code: Option<u32>,
    #[prost(message, optional, tag = "2")]
    pub(super) info: Option<String>,
    #[prost(int32, tag = "3")]
    pub(super) kind: i32,
    #[prost(message, optional, tag = "4")]
    pub(super) service: Option<Service>,
    #[prost(message, repeated, tag = "5")]
    pub(super) instances: Vec<Instance>,
}

/// A `DiscoverResponse` about the services of a namespace.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ServicesResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) code: Option<u32>,
    #[prost(message, optional, tag = "2")]
    pub(super) info: Option<String>,
    #[prost(int32, tag = "3")]
    pub(super) kind: i32,
    #[prost(message, optional, tag = "4")]
    pub(super) service: Option<Service>,
    #[prost(message, repeated, tag = "9")]
    pub(super) services: Vec<Service>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Service {
    #[prost(message, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub(super) namespace: Option<String>,
    #[prost(btree_map = "string, string", tag = "3")]
    pub(super) metadata: BTreeMap<String, String>,
    #[prost(message, optional, tag = "15")]
    pub(super) revision: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Instance {
    #[prost(message, optional, tag = "1")]
    pub(super) id: Option<String>,
    #[prost(message, optional, tag = "4")]
    pub(super) host: Option<String>,
    #[prost(message, optional, tag = "5")]
    pub(super) port: Option<u32>,
    #[prost(message, optional, tag = "6")]
    pub(super) protocol: Option<String>,
    #[prost(message, optional, tag = "7")]
    pub(super) version: Option<String>,
    #[prost(message, optional, tag = "8")]
    pub(super) priority: Option<u32>,
    #[prost(message, optional, tag = "9")]
    pub(super) weight: Option<u32>,
    #[prost(message, optional, tag = "11")]
    pub(super) healthy: Option<bool>,
    #[prost(message, optional, tag = "12")]
    pub(super) isolate: Option<bool>,
    #[prost(message, optional, tag = "13")]
    pub(super) location: Option<Location>,
    #[prost(btree_map = "string, string", tag = "14")]
    pub(super) metadata: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Location {
    #[prost(message, optional, tag = "1")]
    pub(super) region: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub(super) zone: Option<String>,
    #[prost(message, optional, tag = "3")]
    pub(super) campus: Option<String>,
}
