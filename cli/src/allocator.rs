//! What the system's allocator keeps for itself.

use std::{os::unix::process::CommandExt as _, process::Command};

/// How many arenas glibc may make: `mallopt(3)`, read once when a program starts.
const ARENAS: &str = "MALLOC_ARENA_MAX";

/// Begins anew, as the same process, with one arena of glibc instead of eight for each processor: every thread that ever
/// read a page of logs would keep some megabytes of it in an arena of its own, for nobody. Returns where it is so already,
/// where somebody said otherwise, where the allocator is another one, and where the program is gone from its place.
pub fn one_arena() {
    if cfg!(all(target_os = "linux", target_env = "gnu"))
        && std::env::var_os(ARENAS).is_none()
        && let Ok(program) = std::env::current_exe()
    {
        drop(Command::new(program).args(std::env::args_os().skip(1)).env(ARENAS, "1").exec());
    }
}
