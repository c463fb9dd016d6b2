//! Writes `tests/conformance/vectors` anew from the model: `cargo run -p conformance --bin vectors`.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::fs;

use conformance::{scenarios, vector};

fn main() {
    let folder = vector::folder();
    fs::create_dir_all(&folder).unwrap();
    let all = scenarios::vectors();
    for (name, _) in vector::committed() {
        if !all.iter().any(|vector| vector.name == name) {
            fs::remove_file(folder.join(name).with_extension("json")).unwrap();
        }
    }
    for vector in &all {
        fs::write(folder.join(format!("{}.json", vector.name)), vector::text(vector)).unwrap();
    }
    println!("{} vectors in {}", all.len(), folder.display());
}
