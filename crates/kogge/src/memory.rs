//! How this process uses memory.

use std::{env, os::unix::process::CommandExt as _, process::Command};

/// A hub makes and drops trees of JSON all day: with the C library's allocator a third of its time
/// goes there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Has the allocator give back at once what is free, instead of keeping it for a while: for a
/// process that is there all the time and does little. It reads that from its environment when it
/// starts, so the process begins again; where it cannot, it goes on as it is.
pub fn give_back_at_once() {
    const OPTIONS: [&str; 2] = ["MIMALLOC_PURGE_DELAY", "MIMALLOC_ARENA_EAGER_COMMIT"];
    if OPTIONS.iter().any(|it| env::var_os(it).is_some()) {
        return;
    }
    let mut words = env::args_os();
    if let (Ok(program), Some(name)) = (env::current_exe(), words.next()) {
        let mut again = Command::new(program);
        again.arg0(name).args(words).envs(OPTIONS.map(|it| (it, "0")));
        // It comes back only if it failed.
        let _ = again.exec();
    }
}
