//! The machine as the simulated processes see it: its clocks follow the runtime's paused one, and its chance follows the seed.
//!
//! Both stand in for two functions of the C library, in this test binary alone: all that reads a clock or draws a number, in
//! whichever library, ends there (`std`'s clocks and hash maps, `rand`, `tokio`, `governor`). So the program needs no second
//! way for tests, and whoever adds a clock to it cannot forget one. Only the simulation's own thread is concerned.
#![allow(unsafe_code, reason = "functions of the C library cannot be replaced without it")]

use std::cell::Cell;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use libc::{c_int, c_long, c_uint, c_void, clockid_t, size_t, ssize_t, timespec};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

/// The time of day at which every simulation begins, and how long its machine has been up.
const BEGINNING: (Duration, Duration) = (Duration::from_secs(1_800_000_000), Duration::from_secs(1_000_000));

#[derive(Clone, Copy)]
enum Clock {
    /// The system's.
    Real,
    /// The beginning, for as long as the runtime is made: its clock begins there, too.
    Stands,
    /// The runtime's, from this moment on.
    Follows(Instant),
}

thread_local! {
    static CHANCE: Cell<Option<u64>> = const { Cell::new(None) };
    static CLOCK: Cell<Clock> = const { Cell::new(Clock::Real) };
}

/// Makes a runtime whose clock is paused and whose order of tasks is the same each time. From here on this thread draws by
/// the seed, and its clocks follow the runtime's.
pub(crate) fn runtime(seed: u64) -> Runtime {
    CHANCE.set(Some(seed));
    CLOCK.set(Clock::Stands);
    let mut builder = Builder::new_current_thread();
    // One call of a module at a time, and its end is heard of when nothing else is to be done.
    let runtime =
        builder.enable_time().start_paused(true).max_blocking_threads(1).global_queue_interval(u32::MAX).build();
    let runtime = runtime.expect("a runtime");
    CLOCK.set(Clock::Follows(runtime.block_on(async { Instant::now() })));
    runtime
}

/// Has this process begin anew where its memory lies at random, as some hash maps draw from that. Where the system does not
/// let it, a seed may come out otherwise the next time.
pub(crate) fn lie_still() {
    const LOOK: libc::c_ulong = 0xffff_ffff;
    // SAFETY: it touches nothing but this process's own way of laying out the next program.
    let still = unsafe {
        let known = libc::personality(LOOK);
        known & libc::ADDR_NO_RANDOMIZE != 0
            || libc::personality((known | libc::ADDR_NO_RANDOMIZE) as libc::c_ulong) < 0
    };
    if !still {
        let program = std::env::current_exe().expect("this program");
        let error = Command::new(program).args(std::env::args_os().skip(1)).exec();
        panic!("{error}");
    }
}

/// The time since the simulation began.
pub(crate) fn elapsed() -> Duration {
    match CLOCK.get() {
        Clock::Follows(start) => start.elapsed(),
        Clock::Real | Clock::Stands => Duration::ZERO,
    }
}

/// The processor's time that this process has taken.
pub(crate) fn computed() -> Duration {
    let mut time = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` can be written to.
    unsafe { libc::syscall(libc::SYS_clock_gettime, c_long::from(libc::CLOCK_PROCESS_CPUTIME_ID), &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The next number of the seed: SplitMix64.
fn draw(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (state, mixed ^ (mixed >> 31))
}

/// # Safety
///
/// As the C library has it: `buffer` has room for `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, length: size_t, flags: c_uint) -> ssize_t {
    let Some(mut state) = CHANCE.get() else {
        // SAFETY: the arguments are passed on as they came.
        return unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) as ssize_t };
    };
    for at in 0..length {
        let (next, number) = draw(state);
        state = next;
        // SAFETY: the caller says that there is room for it.
        unsafe { buffer.cast::<u8>().add(at).write(number as u8) };
    }
    CHANCE.set(Some(state));
    length as ssize_t
}

/// # Safety
///
/// As the C library has it: `time` can be written to.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    // The system's for as long as the runtime is asked: outside of it, it asks the system itself.
    let known = CLOCK.replace(Clock::Real);
    let since = match known {
        Clock::Real => {
            // SAFETY: the arguments are passed on as they came.
            return unsafe { libc::syscall(libc::SYS_clock_gettime, clock as c_long, time) as c_int };
        }
        Clock::Stands => Duration::ZERO,
        Clock::Follows(start) => start.elapsed(),
    };
    CLOCK.set(known);
    let (day, up) = BEGINNING;
    let now = since + if clock == libc::CLOCK_REALTIME { day } else { up };
    let known = timespec { tv_sec: now.as_secs() as libc::time_t, tv_nsec: now.subsec_nanos().into() };
    // SAFETY: the caller says that it can be written to.
    unsafe { time.write(known) };
    0
}
