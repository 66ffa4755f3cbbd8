//! `kogge apply`: server-side apply of files, for machines without kubectl.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use kogge_member::{Apply, ObjectKey};
use kogge_model::yaml::{self, Reading};
use serde_json::Value;

use crate::kubeconfig::Target;

/// Apply YAML files to the fleet
///
/// Like `kubectl apply --server-side`: files and directories in the order given,
/// every object in the order it is read.
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

pub async fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut objects = Vec::new();
    for file in &args.files {
        read(file, &mut objects)?;
    }
    if objects.is_empty() {
        bail!("no objects were found in the files given");
    }
    let client = args.target.client().await?;
    let how = Apply { manager: "kogge-apply", force: args.force_conflicts, dry_run: args.dry_run };
    let mut done = BTreeSet::new();
    for mut object in objects {
        let api_version = kogge_member::object::text(&object, "/apiVersion").to_owned();
        let kind = kogge_member::object::text(&object, "/kind").to_owned();
        let resource = client.resource(&api_version, &kind).await?;
        if resource.namespaced && kogge_member::object::namespace(&object).is_empty() {
            object["metadata"]["namespace"] = args.namespace.clone().into();
        }
        let key = ObjectKey::of(&object);
        if !done.insert((key.clone(), object.to_string())) {
            continue;
        }
        client
            .apply(&resource, &object, how)
            .await
            .with_context(|| format!("{key} was not applied"))?;
        let dry = if args.dry_run { " (dry run)" } else { "" };
        writeln!(out, "{key} applied{dry}")?;
    }
    Ok(())
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
