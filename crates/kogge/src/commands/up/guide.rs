//! What `up` says at the end: where the kubeconfig is, and what is worth trying.

use std::{
    env,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Five commands that work when they are pasted, with kubectl where there is one.
pub fn write(dir: &Path, member: &str, out: &mut dyn Write) -> io::Result<()> {
    let kubeconfig = quoted(&dir.join("kubeconfig"));
    let kogge = match (on_path("kogge"), env::current_exe()) {
        (false, Ok(here)) => quoted(&here),
        _ => "kogge".to_owned(),
    };
    let repository = dir.join("my-project");
    let lines = if on_path("kubectl") {
        with_kubectl(&kogge, &kubeconfig, member)
    } else {
        without_kubectl(&kogge, &kubeconfig, &quoted(&repository.join("manifests")))
    };
    said(&lines, &kubeconfig, &quoted(&repository), out)
}

fn said(
    lines: &[String],
    kubeconfig: &str,
    repository: &str,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "\nThe fleet is ready. Its kubeconfig: {kubeconfig}\nTry:")?;
    for line in lines {
        writeln!(out, "  {line}")?;
    }
    writeln!(out, "Commit to {repository} and every cluster follows. Ctrl-C stops all of it.")
}

fn with_kubectl(kogge: &str, kubeconfig: &str, member: &str) -> [String; 5] {
    let kubectl = |words: &str| format!("kubectl --kubeconfig {kubeconfig} {words}");
    [
        kubectl("get clusters,deployments -A"),
        kubectl("scale deployment web -n my-project --replicas=40"),
        kubectl("get clusterautoscaler kubernetes-autoscaler -o yaml"),
        kubectl(&format!("--context {member} delete deployment web -n my-project")),
        format!("{kogge} why deploy/web -n my-project --kubeconfig {kubeconfig}"),
    ]
}

fn without_kubectl(kogge: &str, kubeconfig: &str, manifests: &str) -> [String; 5] {
    [
        "why deploy/web -n my-project",
        "why service/web -n my-project",
        "why namespace/my-project",
        &format!("apply --dry-run -f {manifests}"),
        &format!("apply -f {manifests}"),
    ]
    .map(|words| format!("{kogge} {words} --kubeconfig {kubeconfig}"))
}

fn on_path(program: &str) -> bool {
    let dirs = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&dirs).any(|it| it.join(program).is_file())
}

/// A path as a shell reads it back.
fn quoted(path: &Path) -> String {
    let text = PathBuf::from(path).display().to_string();
    let plain = |it: char| it.is_ascii_alphanumeric() || "/._-+".contains(it);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = include_str!("../../../../../README.md");

    #[test]
    fn the_readme_shows_what_is_printed() {
        let (kubeconfig, mut shown) = ("~/.local/share/kogge/kubeconfig", Vec::new());
        let lines = with_kubectl("kogge", kubeconfig, "member3");
        said(&lines, kubeconfig, "~/.local/share/kogge/my-project", &mut shown).expect("written");
        let shown = String::from_utf8(shown).expect("text");
        assert!(README.contains(&shown), "README.md does not have:\n{shown}");
    }

    #[test]
    fn paths_survive_the_shell() {
        assert_eq!(quoted(Path::new("/tmp/x")), "/tmp/x");
        assert_eq!(quoted(Path::new("/tmp/it's here")), r"'/tmp/it'\''s here'");
    }
}
