//! What `up` says at the end: where the kubeconfig is, and what is worth trying.

use std::{
    env,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Five commands that work when they are pasted, with kubectl where there is one.
pub fn write(dir: &Path, out: &mut dyn Write) -> io::Result<()> {
    let kubeconfig = quoted(&dir.join("kubeconfig"));
    writeln!(out, "\nThe fleet is ready. Its kubeconfig: {kubeconfig}\nTry:")?;
    let kogge = match (on_path("kogge"), env::current_exe()) {
        (false, Ok(here)) => quoted(&here),
        _ => "kogge".to_owned(),
    };
    let kogge = |words: &str| format!("{kogge} {words} --kubeconfig {kubeconfig}");
    let repository = dir.join("my-project");
    let lines = if on_path("kubectl") {
        let kubectl = |words: &str| format!("kubectl --kubeconfig {kubeconfig} {words}");
        vec![
            kubectl("get clusters,deployments -A"),
            kubectl("scale deployment web -n my-project --replicas=40"),
            kubectl("get clusterautoscaler kubernetes-autoscaler -o yaml"),
            kubectl("--context member2 delete deployment web -n my-project"),
            kogge("why deploy/web -n my-project"),
        ]
    } else {
        let manifests = quoted(&repository.join("manifests"));
        vec![
            kogge("why deploy/web -n my-project"),
            kogge("why service/web -n my-project"),
            kogge("why namespace/my-project"),
            kogge(&format!("apply --dry-run -f {manifests}")),
            kogge(&format!("apply -f {manifests}")),
        ]
    };
    for line in lines {
        writeln!(out, "  {line}")?;
    }
    writeln!(
        out,
        "Commit to {} and every cluster follows. Ctrl-C stops all of it.",
        quoted(&repository)
    )
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

    #[test]
    fn paths_survive_the_shell() {
        assert_eq!(quoted(Path::new("/tmp/x")), "/tmp/x");
        assert_eq!(quoted(Path::new("/tmp/it's here")), r"'/tmp/it'\''s here'");
    }
}
