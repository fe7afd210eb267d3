//! One call must not disturb the others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use polaris2istio::converter::{CallError, Limits, LoadedModule};
use polaris2istio_core::model::Service;
use polaris2istio_tests::wait_for;

use crate::calls::{TIME, guest_with};
use crate::request::{entry, is_well, service};

#[tokio::test(flavor = "multi_thread")]
async fn calls_beside_a_loop_go_on() {
    let module = guest_with(Limits { time: TIME, concurrency: 4, ..Limits::default() });
    let begun = Instant::now();
    let stuck: Vec<_> = ["loop", "loop", "allocate", "recurse"].map(|behaviour| started(&module, behaviour)).into();
    let mut done = 0;
    while begun.elapsed() < TIME / 2 {
        let outcome = module.convert(Arc::new(service(None)), Arc::new(entry()), None).await.unwrap();
        assert!(is_well(&outcome));
        done += 1;
    }
    assert!(done > 10, "{done} calls beside two loops");
    assert!(!stuck[0].is_finished(), "the loop was running all the while");
    for (position, call) in stuck.into_iter().enumerate() {
        let error = call.await.unwrap().unwrap_err();
        // The second one may wait in vain for the place of the first, and on a busy machine whatever takes long may.
        let ended = match error {
            CallError::Busy => true,
            CallError::TimedOut { .. } => position < 2,
            _ => position >= 2,
        };
        assert!(ended, "{error}");
    }
}

/// Whoever waits for a call may go away, but the call goes on until it is stopped; its slot is free only then.
#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_call_keeps_its_slot() {
    let module = guest_with(Limits { time: TIME, concurrency: 1, ..Limits::default() });
    let abandoned = module.convert(Arc::new(service(Some("loop"))), Arc::new(entry()), None);
    tokio::time::timeout(Duration::from_millis(100), abandoned).await.expect_err("it loops");
    // On a busy machine the first to come after it may have waited in vain.
    wait_for("the slot is free", TIME * 20, || async {
        match module.convert(Arc::new(service(None)), Arc::new(entry()), None).await {
            Ok(outcome) => {
                assert!(is_well(&outcome));
                Ok(())
            }
            Err(error @ CallError::Busy) => Err(error.to_string()),
            Err(error) => panic!("{error}"),
        }
    })
    .await;
}

/// More calls at once than there are slots are the host's doing, and no defect of the module.
#[test]
fn a_full_pool_is_not_the_modules_fault() {
    let module = guest_with(Limits { time: TIME, concurrency: 1, ..Limits::default() });
    let stuck = || module.call(&service(Some("loop")), &entry(), None).unwrap_err();
    // Whichever come first loop for their whole time, so the last finds the pool full: it has two places beside those for
    // calls, one of each lane, where a new module describes itself and another is compared.
    let mut errors = std::thread::scope(|scope| {
        let threads = [(); 6].map(|()| scope.spawn(stuck));
        threads.map(|thread| thread.join().unwrap())
    });
    errors.sort_by_key(|error| matches!(error, CallError::Host { .. }));
    let late = errors.iter().filter(|error| matches!(error, CallError::TimedOut { .. })).count();
    assert!(late == 5 && matches!(errors[5], CallError::Host { .. }), "{errors:?}");
}

/// The ticker ends with the module: if it outlived the engine, changes of modules would leak threads.
#[test]
fn a_converter_leaves_no_thread() {
    let threads = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|name| name.trim_end() == "wasm-epochs").count()
    };
    let before = threads();
    for _ in 0..12 {
        guest_with(Limits::default()).call(&service(None), &entry(), None).unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    // Other tests have tickers of their own, but nowhere near as many.
    while threads() > before + 6 {
        assert!(Instant::now() < deadline, "{} threads, {before} before", threads());
        std::thread::yield_now();
    }
}

fn started(
    module: &Arc<LoadedModule>,
    behaviour: &str,
) -> tokio::task::JoinHandle<Result<polaris2istio_core::model::Outcome, CallError>> {
    // Another revision: what hangs is an input, not an entry for ever.
    let service = Service { revision: behaviour.into(), ..service(Some(behaviour)) };
    let (module, service) = (Arc::clone(module), Arc::new(service));
    tokio::spawn(async move { module.convert(service, Arc::new(entry()), None).await })
}
