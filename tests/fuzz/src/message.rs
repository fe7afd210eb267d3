//! The registry's protobuf, as it comes by gRPC. It goes the way of an answer from there.

use polaris2istio::registry::decode_message;

use crate::answer;

pub(crate) fn run(data: &[u8]) {
    answer::check(decode_message(data, "fuzz"));
}
