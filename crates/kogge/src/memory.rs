//! How this process uses memory.

use std::{env, io, os::unix::process::CommandExt as _, process::Command};

/// A hub makes and drops trees of JSON all day: with the C library's allocator a third of its time
/// goes there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Has the allocator give back at once what is free, instead of keeping it for a while: for a
/// process that is there all the time and does little. It reads that from its environment when it
/// starts, so the process begins again, under its number.
///
/// # Errors
/// If it could not begin again: then it is in no state to go on.
pub fn give_back_at_once() -> io::Result<()> {
    const OPTIONS: [&str; 2] = ["MIMALLOC_PURGE_DELAY", "MIMALLOC_ARENA_EAGER_COMMIT"];
    if OPTIONS.iter().any(|it| env::var_os(it).is_some()) {
        return Ok(());
    }
    let mut words = env::args_os();
    let program = env::current_exe().ok().filter(|it| it.exists());
    let (Some(program), Some(name)) = (program, words.next()) else { return Ok(()) };
    let mut again = Command::new(program);
    again.arg0(name).args(words).envs(OPTIONS.map(|it| (it, "0")));
    // It comes back only if it failed.
    Err(again.exec())
}
