//! What the system's allocator keeps for itself.

use std::{ffi::OsStr, os::unix::process::CommandExt as _, path::Path, process::Command};

/// How many arenas glibc may make: `mallopt(3)`, read once when a program starts.
const ARENAS: &str = "MALLOC_ARENA_MAX";
/// Says that it was begun anew: where a program runs with more rights than who starts it, the system takes [`ARENAS`] away.
const BEGUN: &str = "MALLOC_ARENA_MAX_TRIED";

/// Begins anew, as the same process, with one arena of glibc instead of eight for each processor: every thread that ever
/// read a page of logs would keep some megabytes of it in an arena of its own, for nobody. Returns where it is so already or
/// was tried, where somebody said otherwise, where the allocator is another one, and where the program is gone from its place
/// or was started by another one, as by the system's loader.
pub fn one_arena() {
    if cfg!(all(target_os = "linux", target_env = "gnu"))
        && [ARENAS, BEGUN].into_iter().all(|name| std::env::var_os(name).is_none())
        && let Ok(program) = std::env::current_exe()
        && let Some(called) = std::env::args_os().next()
        && is_called(&program, &called)
    {
        let mut anew = Command::new(program);
        drop(anew.args(std::env::args_os().skip(1)).env(ARENAS, "1").env(BEGUN, "1").exec());
    }
}

/// Whether a program is the one that was called by this name.
fn is_called(program: &Path, name: &OsStr) -> bool {
    program.file_name().is_some_and(|file| Path::new(name).file_name() == Some(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_another_one_started_is_not_the_one_that_was_called() {
        let called = |program: &str, name: &str| is_called(Path::new(program), OsStr::new(name));
        assert!(called("/usr/bin/earnest", "earnest") && called("/usr/bin/earnest", "../bin/earnest"));
        assert!(!called("/lib64/ld-linux-x86-64.so.2", "/usr/bin/earnest"));
        assert!(!called("/usr/bin/earnest (deleted)", "earnest") && !called("/usr/bin/earnest", ""));
    }
}
