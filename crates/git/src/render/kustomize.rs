//! Runs kustomize, or kubectl's own copy of it, on files of its own in a private directory.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use kogge_model::yaml::{self, Reading};
use serde_json::{Map, Value, json};

use super::closure::Closure;
use super::{BuildError, Options, RenderedObject, identity, origin};
use crate::tree::{Tree, join, normal};

/// Where in the private directory the repository's files are.
const REPOSITORY: &str = "repository";
/// Where in it the kustomization is that goes on top of others.
const OVERLAY: &str = "overlay";
/// The objects that it goes on top of.
const BELOW: &str = "all.yaml";

/// Builds one kustomization of the repository.
pub(super) fn build(
    closure: &Closure,
    options: &Options,
) -> Result<Vec<RenderedObject>, BuildError> {
    let place = tempfile::tempdir()?;
    write(place.path(), closure)?;
    let directory = join(REPOSITORY, &closure.directory);
    let asked = origin::ask(&place.path().join(REPOSITORY).join(&closure.file))?;
    let run = Run { place: place.path(), file: &closure.file, options };
    let values = run.build(&place.path().join(&directory), closure.is_known())?;
    let object = |mut value| {
        let file = if asked { take_origin(&mut value, &directory) } else { None };
        RenderedObject { value, file: file.unwrap_or_else(|| closure.file.clone()), line: 0 }
    };
    Ok(values.into_iter().map(object).collect())
}

/// The file of the repository that an object was read from, taken off it again.
fn take_origin(value: &mut Value, directory: &str) -> Option<String> {
    let file = normal(&join(directory, &origin::take(value)?))?;
    file.strip_prefix(REPOSITORY)?.strip_prefix('/').map(str::to_owned)
}

/// Builds a kustomization on top of `objects`, with what the options ask for. Objects keep their files, but for those that components add.
pub(super) fn overlay(
    objects: &[RenderedObject],
    tree: &Tree,
    options: &Options,
) -> Result<Vec<RenderedObject>, BuildError> {
    let place = tempfile::tempdir()?;
    let directory = place.path().join(OVERLAY);
    fs::create_dir_all(&directory)?;
    let all: Vec<String> = objects.iter().map(|it| it.value.to_string()).collect();
    fs::write(directory.join(BELOW), all.join("\n---\n"))?;
    let mut components = Vec::new();
    for component in &options.components {
        let path = normal(&join(tree.path(), component)).ok_or_else(|| {
            BuildError::invalid(
                "spec.components",
                0,
                format!("{component} lies outside of the repository"),
            )
        })?;
        let closure = Closure::of(tree, &path)?;
        write(place.path(), &closure)?;
        components.push(format!("../{REPOSITORY}/{path}"));
    }
    let mut kustomization = Map::new();
    let mut set = |field: &str, value: Value| kustomization.insert(field.to_owned(), value);
    set("resources", json!([BELOW]));
    // Who asks for origins in the repository keeps them.
    let asked = !objects.iter().any(|it| origin::is_said(&it.value));
    if asked {
        set("buildMetadata", json!([origin::ASKED]));
    }
    set("components", json!(components));
    set("images", json!(options.images));
    set("patches", json!(options.patches));
    for (field, value) in
        [("namePrefix", &options.name_prefix), ("nameSuffix", &options.name_suffix)]
    {
        if let Some(value) = value {
            set(field, json!(value));
        }
    }
    fs::write(directory.join("kustomization.yaml"), Value::Object(kustomization).to_string())?;
    let file = objects.first().map_or_else(|| tree.path().to_owned(), |it| it.file.clone());
    let values = Run { place: place.path(), file: &file, options }.build(&directory, false)?;
    let before =
        |value: &Value| objects.iter().find(|it| renamed(&it.value, options) == identity(value));
    let object = |mut value: Value| {
        let added = if asked { take_origin(&mut value, OVERLAY) } else { None };
        if let Some(before) = before(&value) {
            return RenderedObject { value, ..before.clone() };
        }
        let file = added.unwrap_or_else(|| tree.path().to_owned());
        RenderedObject { value, file, line: 0 }
    };
    Ok(values.into_iter().map(object).collect())
}

/// Who an object is once it has its prefix and suffix.
fn renamed(value: &Value, options: &Options) -> [String; 4] {
    let [group, kind, namespace, name] = identity(value);
    let [prefix, suffix] =
        [&options.name_prefix, &options.name_suffix].map(|it| it.as_deref().unwrap_or_default());
    [group, kind, namespace, format!("{prefix}{name}{suffix}")]
}

fn write(place: &Path, closure: &Closure) -> Result<(), BuildError> {
    for (file, content) in closure.files()? {
        let path = place.join(REPOSITORY).join(&file);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(path, content)?;
    }
    Ok(())
}

struct Run<'a> {
    /// The private directory, that messages are freed of.
    place: &'a Path,
    /// What an error is about unless it says so itself.
    file: &'a str,
    options: &'a Options,
}

impl Run<'_> {
    fn build(&self, directory: &Path, unrestricted: bool) -> Result<Vec<Value>, BuildError> {
        let program = self.program()?;
        let mut command = Command::new(&program);
        let is_kubectl =
            program.file_name().is_some_and(|it| it.to_string_lossy().starts_with("kubectl"));
        command.arg(if is_kubectl { "kustomize" } else { "build" }).arg(directory);
        if unrestricted {
            command.arg("--load-restrictor=LoadRestrictionsNone");
        }
        // Nothing of our environment is its business but where to find git and a proxy, for remote bases.
        command.env_clear().env("HOME", self.place);
        for name in [
            "PATH",
            "HTTPS_PROXY",
            "HTTP_PROXY",
            "NO_PROXY",
            "https_proxy",
            "http_proxy",
            "no_proxy",
        ] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let output = self.run(command)?;
        let refused =
            |error: yaml::Error| self.refused(format!("its output cannot be read: {error}"));
        let documents = yaml::objects(&output, Reading::Kustomize).map_err(refused)?;
        Ok(documents.into_iter().map(|it| it.value).collect())
    }

    fn program(&self) -> Result<PathBuf, BuildError> {
        if let Some(program) = &self.options.kustomize {
            return Ok(program.clone());
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let on_path = |name: &str| {
            std::env::split_paths(&path).map(|it| it.join(name)).find(|it| it.is_file())
        };
        on_path("kustomize")
            .or_else(|| on_path("kubectl"))
            .ok_or_else(|| BuildError::NoKustomize { file: self.file.to_owned() })
    }

    /// What the program prints, if it succeeds in time.
    fn run(&self, mut command: Command) -> Result<String, BuildError> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            let program = Path::new(command.get_program()).display();
            self.refused(format!("could not start {program}: {error}"))
        })?;
        let (done, wait) = channel();
        let readers: Vec<_> = [
            child.stdout.take().map(|it| Box::new(it) as Box<dyn Read + Send>),
            child.stderr.take().map(|it| Box::new(it) as Box<dyn Read + Send>),
        ]
        .into_iter()
        .flatten()
        .map(|mut pipe| {
            let done = done.clone();
            thread::spawn(move || {
                let mut bytes = Vec::new();
                let _ = pipe.read_to_end(&mut bytes);
                let _ = done.send(());
                String::from_utf8_lossy(&bytes).into_owned()
            })
        })
        .collect();
        let in_time = readers.iter().all(|_| wait.recv_timeout(self.options.timeout).is_ok());
        if !in_time {
            child.kill()?;
        }
        let status = child.wait()?;
        if !in_time {
            return Err(
                self.refused(format!("it took longer than {} s", self.options.timeout.as_secs()))
            );
        }
        let mut said = readers.into_iter().map(|it| it.join().unwrap_or_default());
        let (output, errors) = (said.next().unwrap_or_default(), said.next().unwrap_or_default());
        if status.success() { Ok(output) } else { Err(self.refused(self.readable(&errors))) }
    }

    fn refused(&self, reason: String) -> BuildError {
        BuildError::Kustomize { file: self.file.to_owned(), reason }
    }

    /// Its error with paths of the repository, without kubectl's log prefix and deprecations.
    fn readable(&self, errors: &str) -> String {
        let mut text = errors.to_owned();
        let resolved = self.place.canonicalize().unwrap_or_else(|_| self.place.to_owned());
        for place in [self.place, &resolved] {
            text = text.replace(&format!("{}/", place.join(REPOSITORY).display()), "");
        }
        if let Some((_, quoted)) = text.split_once("\"command failed\" err=") {
            text = serde_json::from_str(quoted.trim()).unwrap_or_else(|_| quoted.trim().to_owned());
        }
        let lines = text
            .lines()
            .map(|it| it.trim().trim_start_matches("Error: ").trim_start_matches("error: "));
        lines
            .filter(|it| !matches!(*it, "" | "<" | ">") && !it.starts_with("# Warning"))
            .collect::<Vec<_>>()
            .join("; ")
    }
}
