//! The fuzzer, when built by `tests/fuzz/run`: the variable FUZZ_TARGET names the target. Built otherwise it replays files:
//! `polaris2istio-fuzz TARGET FILE...`, for what a fuzzer left behind.
#![cfg_attr(feature = "fuzzer", no_main)]
#![allow(clippy::expect_used, clippy::panic, reason = "a panic is how a fault is found")]

#[cfg(feature = "fuzzer")]
mod fuzzer {
    #![allow(unsafe_code, reason = "what the macro makes")]
    use std::sync::LazyLock;

    static TARGET: LazyLock<polaris2istio_fuzz::Target> = LazyLock::new(|| {
        let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
        polaris2istio_fuzz::target(&name).expect("FUZZ_TARGET is a target's name")
    });

    libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
}

#[cfg(not(feature = "fuzzer"))]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().expect("usage: polaris2istio-fuzz TARGET FILE...");
    let target = polaris2istio_fuzz::target(&name).expect("the first argument is a target's name");
    for path in arguments {
        println!("{path}");
        target(&std::fs::read(&path).expect("the file can be read"));
    }
}
