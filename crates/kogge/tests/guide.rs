//! What `kogge up` and `kogge init` hand to a user, used to the letter.

mod common;

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use common::{Kubectl, SOON, kogge, up_with};
use kogge_testkit::{
    Process,
    kubectl::{self, Version},
    wait_until,
};

/// A folder with these programs alone, as a `PATH`.
fn folder(dir: &Path, programs: &[&Path]) -> PathBuf {
    fs::create_dir_all(dir).expect("made");
    for program in programs {
        symlink(program, dir.join(program.file_name().expect("a file"))).expect("linked");
    }
    dir.to_owned()
}

/// The lines that are worth trying, as `up` printed them.
fn printed(fleet: &Process) -> Vec<String> {
    let log = fleet.log();
    let lines = log.lines().skip_while(|it| *it != "Try:").skip(1);
    lines.map_while(|it| it.strip_prefix("  ")).map(str::to_owned).collect()
}

fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    format!("{out}{err}")
}

/// Runs a program as a user without any configuration of their own, who is somewhere else.
fn run(program: &str, words: &[&str], dir: &Path, path: &Path, more: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(program);
    command.args(words).current_dir(dir).env_remove("KUBECONFIG").env("HOME", dir);
    command.env("PATH", path).envs(more.iter().copied());
    command.output().expect("it starts")
}

#[track_caller]
fn each_works(lines: &[String], dir: &Path, path: &Path) {
    assert_eq!(lines.len(), 5, "{lines:?}");
    for line in lines {
        let output = run("/bin/sh", &["-c", line], dir, path, &[]);
        assert!(output.status.success(), "{line}: {}", text(&output));
        assert!(!output.stdout.is_empty(), "{line} says nothing");
    }
}

#[test]
fn the_commands_that_up_prints_work_as_they_are() {
    let Some(binary) = kubectl::or_skip(Version::V1_37) else { return };
    let dir = tempfile::tempdir().expect("temp dir");
    let elsewhere = folder(&dir.path().join("elsewhere"), &[]);
    // A name that a shell would take apart.
    let data = dir.path().join("a fleet's data");
    let with = folder(&dir.path().join("with"), &[&binary]);
    let mut fleet = up_with(&data, &[], &[("PATH", with.as_os_str())]);
    let lines = printed(&fleet);
    assert!(lines[0].starts_with("kubectl "), "{lines:?}");
    each_works(&lines, &elsewhere, &with);
    fleet.terminate().expect("signalled");
    wait_until(SOON, "up stops", || fleet.status().expect("a status"));

    let without = folder(&dir.path().join("without"), &[]);
    let fleet = up_with(&data, &[], &[("PATH", without.as_os_str())]);
    let lines = printed(&fleet);
    assert!(lines.iter().all(|it| it.contains("kogge")), "{lines:?}");
    each_works(&lines, &elsewhere, &without);
}

#[test]
fn a_fleet_of_one_member_has_commands_that_work_too() {
    let Some(binary) = kubectl::or_skip(Version::V1_37) else { return };
    let dir = tempfile::tempdir().expect("temp dir");
    let path = folder(&dir.path().join("path"), &[&binary]);
    let words = ["--members", "1"];
    let fleet = up_with(&dir.path().join("data"), &words, &[("PATH", path.as_os_str())]);
    each_works(&printed(&fleet), dir.path(), &path);
}

/// The layout of `kogge init`, with another name for what it holds.
fn project(dir: &Path, name: &str) -> PathBuf {
    let project = dir.join(name);
    let output = kogge().arg("init").arg(&project).output().expect("kogge runs");
    assert!(output.status.success(), "{}", text(&output));
    let mut found = Vec::new();
    for folder in ["manifests", "scripts"] {
        for entry in fs::read_dir(project.join(folder)).expect("read") {
            let path = entry.expect("read").path();
            found.push(path.strip_prefix(&project).expect("below").display().to_string());
            let content = fs::read_to_string(&path).expect("read");
            fs::write(&path, content.replace("my-project", name)).expect("written");
        }
    }
    found.sort();
    let layout = ["deployment", "namespace", "service"].map(|it| format!("manifests/{it}.yaml"));
    assert_eq!(found, [&layout[..], &["scripts/apply.sh".to_owned()]].concat());
    project
}

/// `./scripts/apply.sh`, after which every member runs what the manifests say.
#[track_caller]
fn applied(project: &Path, path: &Path, more: &[(&str, &Path)], fleet: &Kubectl) {
    let name = project.file_name().and_then(|it| it.to_str()).expect("a name");
    let output = run("./scripts/apply.sh", &[], project, path, more);
    assert!(output.status.success(), "{}", text(&output));
    for member in ["member1", "member2", "member3"] {
        let words = ["get", "deploy,svc", "-n", name, "--context", member];
        let said = fleet.wait(&words, "service/web");
        assert!(said.contains("deployment.apps/web"), "{said}");
    }
}

#[test]
fn whoever_knows_the_layout_runs_the_script_and_the_clusters_follow() {
    let dir = tempfile::tempdir().expect("temp dir");
    let xdg = dir.path().join("xdg");
    let data = xdg.join("kogge");
    fs::create_dir_all(&data).expect("made");
    let kubeconfig = data.join("kubeconfig");
    let Some(fleet) = Kubectl::or_skip(kubeconfig.clone()) else { return };
    let tools: Vec<PathBuf> = ["sh", "dirname"]
        .iter()
        .map(|it| ["/bin", "/usr/bin"].map(|bin| Path::new(bin).join(it)))
        .filter_map(|them| them.into_iter().find(|it| it.exists()))
        .collect();
    let with = |name: &str, program: &Path| {
        let programs: Vec<&Path> = tools.iter().map(PathBuf::as_path).chain([program]).collect();
        folder(&dir.path().join(name), &programs)
    };
    let kubectl = with("kubectl-bin", &fleet.binary);
    let own = with("kogge-bin", Path::new(env!("CARGO_BIN_EXE_kogge")));
    let running = up_with(&data, &[], &[]);

    let named = [("KUBECONFIG", kubeconfig.as_path())];
    applied(&project(dir.path(), "shop"), &kubectl, &named, &fleet);
    // Without a context of their own it is the fleet of `up` that they mean.
    let unnamed = [("XDG_DATA_HOME", xdg.as_path())];
    applied(&project(dir.path(), "second"), &kubectl, &unnamed, &fleet);
    let third = project(dir.path(), "third");
    applied(&third, &own, &unnamed, &fleet);
    applied(&data.join("my-project"), &kubectl, &[], &fleet);

    // The script follows what is written, again and again.
    let file = third.join("manifests/deployment.yaml");
    let content = fs::read_to_string(&file).expect("read");
    fs::write(&file, content.replace("nginx:1.29", "nginx:1.30")).expect("written");
    applied(&third, &own, &unnamed, &fleet);
    let image = ["get", "deploy", "web", "-n", "third", "--context", "member3", "-o", "yaml"];
    fleet.wait(&image, "image: nginx:1.30");
    drop(running);
}

#[test]
fn what_a_fleet_does_not_have_itself_says_where_to_look() {
    let dir = tempfile::tempdir().expect("temp dir");
    let data = dir.path().join("fleet");
    let kubeconfig = data.join("kubeconfig");
    if Kubectl::or_skip(kubeconfig.clone()).is_none() {
        return;
    }
    let running = up_with(&data, &[], &[]);
    for version in Version::ALL {
        let Some(binary) = kubectl::or_skip(version) else { return };
        let fleet = Kubectl { binary, kubeconfig: kubeconfig.clone() };
        points_to_the_members(&fleet);
        is_edited_and_watched(&fleet, version.name(), dir.path());
    }
    drop(running);
}

fn points_to_the_members(fleet: &Kubectl) {
    for words in [
        "get pods -A",
        "get nodes",
        "logs web -n my-project",
        "logs deploy/web -n my-project --pod-running-timeout=1s",
        "exec web -n my-project -- ls",
        "exec deploy/web -n my-project --pod-running-timeout=1s -- ls",
        "top nodes",
        "top pods -A",
    ] {
        let mut command = kubectl::command(&fleet.binary, &fleet.kubeconfig);
        let output = command.args(words.split(' ')).output().expect("kubectl was found");
        let said = text(&output);
        let hint = "use a member's context (kubectl config get-contexts)";
        assert!(said.contains(hint), "kubectl {words}: {said}");
        let answers = words.starts_with("get ");
        assert_eq!(output.status.success(), answers, "kubectl {words}: {said}");
    }
}

/// On an object that Git does not hold, so that nobody puts it back.
fn is_edited_and_watched(fleet: &Kubectl, name: &str, dir: &Path) {
    let namespace = format!("v{}", name.replace('.', "-"));
    let of = |words: &str| -> Vec<String> {
        words.split(' ').chain(["-n", &namespace]).map(str::to_owned).collect()
    };
    let ok = |words: &str| {
        let words = of(words);
        fleet.ok(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    fleet.ok(&["create", "namespace", &namespace]);
    ok("create deployment web --image=nginx:1");
    ok("rollout status deploy/web --timeout=60s");
    ok("wait --for=condition=Available deploy/web --timeout=60s");

    let command = |words: &str| {
        let mut command = kubectl::command(&fleet.binary, &fleet.kubeconfig);
        command.args(of(words));
        command
    };
    let log = dir.join(format!("{name}-watch.log"));
    let leash = kogge_testkit::process::Leash::Watchdog;
    let mut watch = Process::spawn("watch", command("get deploy web -w -o wide"), &log, leash)
        .expect("kubectl starts");
    watch.wait_log("nginx:1", SOON);

    let editor = dir.join("editor");
    fs::write(&editor, "#!/bin/sh\nsed -i 's/image: nginx:1/image: nginx:2/' \"$1\"\n")
        .expect("written");
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).expect("set");
    let edited = command("edit deploy/web").env("EDITOR", &editor).output().expect("it starts");
    assert!(edited.status.success(), "{}", text(&edited));
    assert!(text(&edited).contains("deployment.apps/web edited"), "{}", text(&edited));
    watch.wait_log("nginx:2", SOON);
    ok("rollout status deploy/web --timeout=60s");
    let image = ["get", "deploy", "web", "-n", &namespace, "--context", "member2", "-o", "yaml"];
    fleet.wait(&image, "image: nginx:2");
}
