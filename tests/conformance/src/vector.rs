//! Vectors: scenarios with what must come of every step, as files.

use std::path::{Path, PathBuf};

use crate::{
    chain::{Chain, Limits},
    history::Difference,
    paper::Paper,
    play::{Play, Rules},
    words::{Checked, Setting, Step, Vector},
};

/// Where the committed ones are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// A vector's file, byte by byte.
pub fn text(vector: &Vector) -> String {
    format!("{}\n", serde_json::to_string_pretty(vector).unwrap())
}

/// The committed ones, by their files' names.
pub fn committed() -> Vec<(String, String)> {
    let mut all: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    all.sort();
    all
}

/// A scenario with what the model says must come of it.
pub fn written(
    name: &str,
    about: &str,
    only: &[&str],
    setting: Setting,
    steps: Vec<Step>,
    limits: Limits,
) -> Vector {
    let mut paper = Paper::with(limits);
    let mut play = Play::begin(&mut paper, &setting, Rules::default());
    let steps = steps
        .into_iter()
        .map(|step| Checked {
            expect: play.step(&step).unwrap_or_else(|told| panic!("{name}: {told}")),
            step,
        })
        .collect();
    let only = only.iter().map(|namespace| (*namespace).to_owned()).collect();
    Vector { name: name.to_owned(), about: about.to_owned(), only, setting, steps }
}

/// Plays a vector on a chain.
///
/// # Errors
/// The first step of which something else comes than the vector says.
pub fn play<C: Chain>(vector: &Vector, chain: &mut C) -> Result<u32, Difference> {
    let mut play = Play::begin(chain, &vector.setting, Rules::default());
    for (number, Checked { step, expect }) in (1..).zip(&vector.steps) {
        let told = play.step(step).map_err(|told| format!("{}, step {number}: {told}", vector.name))?;
        if told != *expect {
            let (told, expect) =
                [&told, expect].map(|outcome| serde_json::to_string(outcome).unwrap()).into();
            return Err(format!("{}, step {number}: it says {expect}, the chain {told}", vector.name));
        }
    }
    Ok(u32::try_from(vector.steps.len()).unwrap())
}

/// Writes a history that model and chain differ on, for whoever looks into it, and gives its path.
pub fn write_difference(setting: Setting, steps: Vec<Step>, limits: Limits, difference: &str) -> String {
    let about = difference.lines().next().unwrap_or_default();
    let vector = written("difference", about, &[], setting, steps, limits);
    let folder = std::env::temp_dir().join("conformance");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("difference-{}.json", std::process::id()));
    std::fs::write(&path, text(&vector)).unwrap();
    path.display().to_string()
}
