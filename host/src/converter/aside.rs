//! Work on a thread of its own with a low priority, beside the running calls.

/// The nice value of such a thread: neither a change of modules nor a call that hangs may delay the others.
const NICE: i32 = 10;

/// Runs work aside.
///
/// # Errors
///
/// There is no thread for it, or it panicked.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let thread = move || {
        // On Linux a thread has a priority of its own. If it cannot be lowered, the work is done all the same.
        let _ = rustix::process::nice(NICE);
        work()
    };
    let thread =
        std::thread::Builder::new().name("module, aside".into()).spawn(thread).map_err(|error| error.to_string())?;
    // The runtime knows of the work only by a thread of its own: a clock that is paused stands still for it.
    let done = tokio::task::spawn_blocking(move || thread.join()).await.map_err(|error| error.to_string())?;
    done.map_err(|_| "the thread that was to do it ended".into())
}
