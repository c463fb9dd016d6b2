//! docs/operations.md, the alerts and the dashboard speak of metrics that the services have, of all of them, and of tests that
//! exist.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust source below a folder.
fn sources(folder: &Path, into: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && name != "node_modules" {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(std::fs::read_to_string(&path).expect("a source"));
        }
    }
}

fn sources_of(folders: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for folder in folders {
        sources(&root().join(folder), &mut all);
    }
    all
}

/// The names of metrics in the code: the first argument of whatever makes one.
fn metrics() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for source in sources_of(&["protocol/service/src", "indexer/src", "relayer/src", "hub/src"]) {
        for call in ["counter!(", "gauge!(", "histogram!(", "gauge("] {
            for rest in source.split(call).skip(1) {
                if let Some(name) =
                    rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next())
                {
                    names.insert(name.to_owned());
                }
            }
        }
    }
    names
}

/// The words of a text that could be metrics: those that begin as ours do.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let ours = words.filter(|word| {
        ["indexer_", "relayer_", "hub_", "http_"].iter().any(|prefix| word.starts_with(prefix))
    });
    // A summary has these beside its quantiles.
    ours.map(|word| word.trim_end_matches("_count").trim_end_matches("_sum").to_owned()).collect()
}

/// The alerts' names and expressions.
fn alerts() -> Vec<(String, String)> {
    let text = read("docs/grafana/alerts.yaml");
    let after = |key: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.trim().strip_prefix(key).map(str::trim));
        lines.map(str::to_owned).collect()
    };
    let (names, expressions) = (after("- alert:"), after("expr:"));
    assert!(!names.is_empty() && names.len() == expressions.len(), "an alert without an expression");
    names.into_iter().zip(expressions).collect()
}

/// The first cells of the table under a heading.
fn listed(page: &str, heading: &str) -> BTreeSet<String> {
    let section = page.split_once(heading).unwrap_or_else(|| panic!("no {heading}")).1;
    let section = section.split("\n## ").next().expect("a section");
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    cells.map(str::to_owned).collect()
}

#[test]
fn every_metric_is_listed_and_every_listed_metric_exists() {
    let (page, metrics) = (read("docs/operations.md"), metrics());
    assert!(metrics.len() > 40, "{metrics:?}");
    assert_eq!(listed(&page, "\n## Metrics"), metrics);
    let configuration = BTreeSet::from(["hub_key".to_owned(), "relayer_key".to_owned()]);
    let unknown: Vec<String> = named(&page)
        .into_iter()
        .filter(|name| !metrics.contains(name) && !configuration.contains(name))
        .collect();
    assert_eq!(unknown, Vec::<String>::new(), "docs/operations.md names what is no metric");
}

#[test]
fn every_alert_is_listed_and_asks_for_metrics_that_exist() {
    let (page, metrics, alerts) = (read("docs/operations.md"), metrics(), alerts());
    let names: BTreeSet<String> = alerts.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names.len(), alerts.len(), "an alert twice");
    assert_eq!(listed(&page, "\n## Alerts"), names);
    for (name, expression) in &alerts {
        let asked = named(expression);
        assert!(asked.is_subset(&metrics), "{name}: {expression}");
        assert!(!asked.is_empty() || expression.contains("up{"), "{name} asks for nothing of ours");
    }
}

#[test]
fn the_dashboard_shows_every_metric_and_no_other() {
    let board: Value = serde_json::from_str(&read("docs/grafana/earnest.json")).expect("JSON");
    let panels = board["panels"].as_array().expect("panels");
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().expect("an id")).collect();
    assert_eq!(ids.len(), panels.len(), "an id twice");
    let mut shown = BTreeSet::new();
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let targets = panel["targets"].as_array().expect("targets");
        assert!(!targets.is_empty(), "{}", panel["title"]);
        for target in targets {
            shown.extend(named(target["expr"].as_str().expect("an expression")));
        }
    }
    assert_eq!(shown, metrics());
}

/// What the page says in back quotes with at least four underscores is a test, unless it is a metric.
#[test]
fn every_test_that_is_named_exists() {
    let (page, metrics) = (read("docs/operations.md"), metrics());
    let everything = sources_of(&["protocol", "indexer", "relayer", "hub", "cli", "tests"]).join("\n");
    let words = page.split('`').skip(1).step_by(2);
    let tests: BTreeSet<&str> = words
        .filter(|word| {
            word.matches('_').count() >= 4 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        })
        .filter(|word| !metrics.contains(*word))
        .collect();
    assert!(tests.len() > 20, "{tests:?}");
    let missing: Vec<&&str> =
        tests.iter().filter(|test| !everything.contains(&format!("fn {test}("))).collect();
    assert!(missing.is_empty(), "docs/operations.md names {missing:?}");
    // Every runbook is drilled.
    let runbooks =
        page.split_once("\n## Runbooks").expect("runbooks").1.split("\n## ").next().expect("a section");
    for runbook in runbooks.split("\n### ").skip(1) {
        assert!(runbook.contains("\nDrilled by `"), "{}", runbook.lines().next().unwrap_or_default());
    }
}
