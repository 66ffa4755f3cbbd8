//! `kogge apply`: server-side apply of files, for machines without kubectl.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use kogge_member::{Apply, Client, Error, ObjectKey, object};
use kogge_model::yaml::{self, Reading};
use serde_json::Value;

use crate::kubeconfig::Target;

/// Apply YAML files to the fleet
///
/// Like `kubectl apply --server-side`: files and directories in the order given,
/// every object in the order it is read. One that is refused does not hold up the others.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files or directories, - for standard input
    #[arg(short, long = "filename", required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Namespace of objects that name none
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Take fields over from other managers
    #[arg(long)]
    force_conflicts: bool,
    #[command(flatten)]
    target: Target,
}

/// An object that is refused is told, and does not hold up the others: as with kubectl.
pub async fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut objects = Vec::new();
    for file in &args.files {
        read(file, &mut objects)?;
    }
    if objects.is_empty() {
        bail!("no objects were found in the files given");
    }
    let client = args.target.client().await?;
    let (mut done, mut refused) = (BTreeSet::new(), 0);
    for object in objects {
        match apply(&client, args, object, &mut done).await {
            Ok(None) => {}
            Ok(Some(applied)) => writeln!(out, "{applied}")?,
            Err((key, error)) if error.is_unreachable() => {
                return Err(error).with_context(|| format!("{key} was not applied"));
            }
            Err((key, error)) => {
                refused += 1;
                eprintln!("error: {key} was not applied: {}", error.chain());
            }
        }
    }
    if 0 < refused {
        let s = if refused == 1 { " was" } else { "s were" };
        bail!("{refused} object{s} not applied");
    }
    Ok(())
}

/// What is to be said of it; nothing of what was applied just so already.
async fn apply(
    client: &Client,
    args: &Args,
    mut object: Value,
    done: &mut BTreeSet<(ObjectKey, String)>,
) -> Result<Option<String>, (ObjectKey, Error)> {
    let how = Apply { manager: "kogge-apply", force: args.force_conflicts, dry_run: args.dry_run };
    let text = |path: &str| object::text(&object, path).to_owned();
    let resource = client.resource(&text("/apiVersion"), &text("/kind")).await;
    let resource = resource.map_err(|error| (ObjectKey::of(&object), error))?;
    if resource.namespaced && object::namespace(&object).is_empty() {
        object["metadata"]["namespace"] = args.namespace.clone().into();
    }
    let key = ObjectKey::of(&object);
    if !done.insert((key.clone(), object.to_string())) {
        return Ok(None);
    }
    let applied = client.apply(&resource, &object, how).await;
    applied.map_err(|error| (key.clone(), error))?;
    let dry = if args.dry_run { " (dry run)" } else { "" };
    Ok(Some(format!("{key} applied{dry}")))
}

fn read(path: &Path, objects: &mut Vec<Value>) -> anyhow::Result<()> {
    if path.is_dir() {
        let entries = fs::read_dir(path)
            .with_context(|| format!("could not read directory {}", path.display()))?;
        let mut files: Vec<PathBuf> = entries.filter_map(|it| Some(it.ok()?.path())).collect();
        files.sort();
        let is_manifest = |it: &PathBuf| {
            it.extension().is_some_and(|it| it == "yaml" || it == "yml" || it == "json")
        };
        return files.iter().filter(|it| is_manifest(it)).try_for_each(|it| read(it, objects));
    }
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("could not read standard input")?;
        text
    } else {
        fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?
    };
    let found = yaml::objects(&text, Reading::Kubectl)
        .with_context(|| format!("{} is not valid", path.display()))?;
    objects.extend(found.into_iter().map(|it| it.value));
    Ok(())
}
