//! Points at which a test makes the process die as `kill -9` would. Compiled in with the feature `failpoints` alone.
//!
//! `EARNEST_ABORT_AT=<name>:<n>` names one point, and the how many-th passing of it in this process.
//!
//! `EARNEST_FAILPOINTS=<folder>` is for going through all of them. A point of a service is then told by its name and by
//! how many commits the service had made before, over all its processes: `relayer.rpc.eth_call.before@17` is the first such
//! request after the seventeenth commit, so that there are as many points as there are states in which a process can die at a
//! boundary. `<folder>/<EARNEST_SERVICE>.passes` gets a line for each that is passed; at those in `<folder>/<EARNEST_SERVICE>.plan` the
//! process dies, once at each; at `relayer.rpc.eth_call.before@first` at the first point of that name that it passes at all.

/// Dies here when it is told to, the name being the parts joined by dots.
///
/// No destructor runs and nothing is flushed, so what survives is what the operating system already has.
#[cfg(any(feature = "failpoints", feature = "simulation"))]
pub fn pass(parts: &[&str]) {
    #[cfg(feature = "failpoints")]
    active::pass(parts);
    #[cfg(feature = "simulation")]
    if let Some(world) = crate::simulation::world() {
        world.pass(&parts.join("."));
    }
}

/// Nothing, in a build without the features `failpoints` and `simulation`.
#[cfg(not(any(feature = "failpoints", feature = "simulation")))]
#[inline]
pub fn pass(_parts: &[&str]) {}

#[cfg(feature = "failpoints")]
mod active {
    use std::{
        collections::{HashMap, HashSet},
        fs::{File, OpenOptions},
        io::Write as _,
        path::PathBuf,
        sync::{LazyLock, Mutex, PoisonError},
    };

    struct Wanted {
        at: Option<(String, u64)>,
        passed: HashMap<String, u64>,
        folder: Option<Folder>,
    }

    struct Folder {
        passes: File,
        plan: HashSet<String>,
        known: HashSet<String>,
        commits: u64,
    }

    static WANTED: LazyLock<Mutex<Wanted>> = LazyLock::new(|| {
        let at = std::env::var("EARNEST_ABORT_AT").ok();
        let at = at.and_then(|at| {
            at.rsplit_once(':').and_then(|(name, nth)| Some((name.to_owned(), nth.parse().ok()?)))
        });
        Mutex::new(Wanted { at, passed: HashMap::new(), folder: Folder::open() })
    });

    impl Folder {
        fn open() -> Option<Self> {
            let folder = PathBuf::from(std::env::var_os("EARNEST_FAILPOINTS")?);
            let service = std::env::var("EARNEST_SERVICE").ok()?;
            let passes = folder.join(format!("{service}.passes"));
            let before = std::fs::read_to_string(&passes).unwrap_or_default();
            let known: HashSet<String> = before.lines().map(str::to_owned).collect();
            let plan = std::fs::read_to_string(folder.join(format!("{service}.plan"))).unwrap_or_default();
            let names: HashSet<&str> = known.iter().map(|point| name(point)).collect();
            let over =
                |point: &str| known.contains(point) || point.ends_with(FIRST) && names.contains(name(point));
            let plan = plan.lines().filter(|point| !over(point)).map(str::to_owned).collect();
            let commits = known.iter().filter(|point| is_commit(point)).count();
            let passes = OpenOptions::new().create(true).append(true).open(passes).ok()?;
            Some(Self { passes, plan, known, commits: commits.try_into().unwrap_or(u64::MAX) })
        }

        /// Whether to die at this point.
        fn pass(&mut self, name: &str) -> bool {
            let point = format!("{name}@{}", self.commits);
            if is_commit(&point) {
                self.commits = self.commits.saturating_add(1);
            }
            if !self.known.insert(point.clone()) {
                return false;
            }
            if let Err(error) = self.passes.write_all(format!("{point}\n").as_bytes()) {
                eprintln!("{point} is not noted: {error}");
            }
            self.plan.contains(&point) || self.plan.contains(&format!("{name}{FIRST}"))
        }
    }

    /// In the place of a number.
    const FIRST: &str = "@first";

    fn name(point: &str) -> &str {
        point.rsplit_once('@').map_or(point, |(name, _)| name)
    }

    fn is_commit(point: &str) -> bool {
        point.contains(".commit.after@")
    }

    pub(super) fn pass(parts: &[&str]) {
        let mut wanted = WANTED.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted.at.is_none() && wanted.folder.is_none() {
            return;
        }
        let name = parts.join(".");
        let nth = wanted.passed.entry(name.clone()).or_default();
        *nth = nth.saturating_add(1);
        let nth = *nth;
        let due = wanted.at.as_ref().is_some_and(|(at, wanted)| *at == name && *wanted == nth);
        let planned = wanted.folder.as_mut().is_some_and(|folder| folder.pass(&name));
        if due || planned {
            eprintln!("aborting at {name}:{nth}");
            std::process::abort();
        }
    }
}
