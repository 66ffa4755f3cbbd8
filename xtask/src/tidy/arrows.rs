//! Which crate may depend on which: the rings of the design, read from the manifests.
//!
//! Dev-dependencies are exempt: a test may stand on anything.

use super::Finding;

/// Ring 0, and what of ring 0 each may use.
const CORE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("placement", &["model", "scheduling"]),
    ("scheduling", &["model"]),
    ("autoscale", &["model", "scheduling"]),
    ("gossip", &["model"]),
    ("sync", &["model"]),
    ("checks", &["model"]),
];

/// The rings above, and what they may use besides the core. The binary and xtask wire freely.
const ABOVE: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("files", &[]),
    ("store", &[]),
    ("apiserver", &["files", "store"]),
    ("net", &["api", "files"]),
    ("member", &["api", "net"]),
    ("git", &["api"]),
    ("agent", &["api", "files", "member", "net"]),
    ("sim", &["api", "apiserver", "member", "store"]),
    ("hub", &["agent", "api", "apiserver", "files", "git", "member", "net", "store"]),
    ("web", &["api", "apiserver", "hub"]),
    ("testkit", &[]),
];

/// What would let the outside world into a core crate.
const OUTSIDE: [&str; 11] = [
    "getrandom",
    "hyper",
    "k8s-openapi",
    "kube",
    "rand",
    "redb",
    "reqwest",
    "rustls",
    "tempfile",
    "tokio",
    "uuid",
];

pub fn check(path: &str, manifest: &str, findings: &mut Vec<Finding>) {
    let Some(name) = path.strip_prefix("crates/").and_then(|it| it.strip_suffix("/Cargo.toml"))
    else {
        return;
    };
    let Some(rule) = rule(name) else {
        findings.push(Finding::Fault(format!("{path}: crate {name} has no place in the rings")));
        return;
    };
    for dependency in dependencies(manifest) {
        if !rule.allows(&dependency) {
            findings.push(Finding::Fault(format!("{path}: {name} must not use {dependency}")));
        }
    }
}

/// What a crate may use.
enum Rule {
    Core(&'static [&'static str]),
    Above(&'static [&'static str]),
    Anything,
}

fn rule(name: &str) -> Option<Rule> {
    let find = |table: &[(&str, &'static [&'static str])]| {
        table.iter().find(|(it, _)| *it == name).map(|(_, below)| *below)
    };
    let free = (name == "kogge").then_some(Rule::Anything);
    free.or_else(|| find(CORE).map(Rule::Core)).or_else(|| find(ABOVE).map(Rule::Above))
}

impl Rule {
    fn allows(&self, dependency: &str) -> bool {
        let ours = dependency.strip_prefix("kogge-");
        match (self, ours) {
            (Self::Anything, _) | (Self::Above(_), None) => true,
            (Self::Core(_), None) => !OUTSIDE.contains(&dependency),
            (Self::Core(below), Some(ours)) => below.contains(&ours),
            (Self::Above(below), Some(ours)) => {
                below.contains(&ours) || CORE.iter().any(|(it, _)| *it == ours)
            }
        }
    }
}

/// The names under `[dependencies]`, also of one target or in a table of their own. Manifests
/// here are written one dependency a line, which is all that this reads.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim).filter(|it| !it.starts_with('#')) {
        if let Some(section) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            let own_table = section.split_once("dependencies.");
            inside = section.ends_with("dependencies") && !section.contains("dev-");
            if let (Some((before, name)), false) = (own_table, section.contains("dev-"))
                && (before.is_empty() || before.ends_with(['.', '-']))
            {
                names.push(name.to_owned());
            }
        } else if inside && let Some((name, _)) = line.split_once(['=', '.']) {
            names.push(name.trim().to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_crate(name: &str, manifest: &str, expected: &[&str]) {
        let mut findings = Vec::new();
        check(&format!("crates/{name}/Cargo.toml"), manifest, &mut findings);
        let path = format!("crates/{name}/Cargo.toml: ");
        let found: Vec<String> = findings
            .into_iter()
            .map(|it| match it {
                Finding::Fault(text) | Finding::Warning(text) => text.replace(&path, ""),
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_core_knows_no_outside_world() {
        check_crate("sync", "[dependencies]\nserde.workspace = true\n", &[]);
        check_crate("sync", "[dependencies]\ntokio = \"1\"\n", &["sync must not use tokio"]);
        check_crate("sync", "[dependencies.kube]\nversion = \"5\"", &["sync must not use kube"]);
    }

    #[test]
    fn arrows_point_down_only() {
        let uses_hub = "[dependencies]\nkogge-hub.workspace = true\n";
        check_crate("agent", uses_hub, &["agent must not use kogge-hub"]);
        check_crate("model", uses_hub, &["model must not use kogge-hub"]);
        check_crate(
            "hub",
            "[dependencies]\nkogge-sim.workspace = true",
            &["hub must not use kogge-sim"],
        );
        check_crate("kogge", uses_hub, &[]);
        check_crate("agent", "[dependencies]\nkogge-sync.workspace = true\n", &[]);
    }

    #[test]
    fn tests_may_stand_on_anything() {
        check_crate("model", "[dev-dependencies]\ntokio.workspace = true\n", &[]);
        check_crate("model", "[dev-dependencies.tokio]\nversion = \"1\"\n", &[]);
    }

    #[test]
    fn a_new_crate_needs_a_place() {
        check_crate("harbour", "", &["crate harbour has no place in the rings"]);
    }
}
