//! What is on the stream: requests are encoded here, answers are left as they came, so that they are counted before they are
//! decoded.

use bytes::{Buf, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::message::DiscoverRequest;

#[derive(Debug, Default)]
pub(super) struct DiscoverCodec;

impl Codec for DiscoverCodec {
    type Encode = DiscoverRequest;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for DiscoverCodec {
    type Item = DiscoverRequest;
    type Error = Status;

    fn encode(&mut self, request: DiscoverRequest, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        request.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for DiscoverCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, answer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(answer.copy_to_bytes(answer.remaining())))
    }
}
