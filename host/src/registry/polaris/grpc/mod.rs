//! Polaris's gRPC client API (port 8091): one stream of questions and answers for all services.
//!
//! The server answers in the order of the questions, one answer each, and never by itself.

mod codec;
mod connect;
mod conversation;
mod decode;
mod exchange;
mod find;
mod list;
mod message;
mod status;
mod suspects;

pub(super) use codec::RawAnswers;
pub(super) use connect::Connection;
pub(super) use conversation::Conversation;
pub use decode::decode_message;
pub(super) use exchange::client;
pub(super) use find::find;
pub(super) use list::Lister;
pub use list::decode_services_message;
