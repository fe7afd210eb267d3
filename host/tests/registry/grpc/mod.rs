//! Following by gRPC: what is asked, and what becomes of a server that misbehaves.

mod decode;
mod failures;
mod fake;
mod follow;

use polaris2istio::registry::PolarisConfig;

use self::fake::GrpcFake;
use crate::follower::quick_at;

/// Times short enough for a test.
fn quick_grpc(fakes: &[&GrpcFake]) -> PolarisConfig {
    let addresses: Vec<String> = fakes.iter().map(|fake| format!("grpc://{}", fake.address)).collect();
    quick_at(&addresses.join(","))
}
