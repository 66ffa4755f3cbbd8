//! A repository of 200 directories with 4 objects each, as 200 Kustomizations see it.
//!
//! `cargo bench -p kogge-git`

use std::fmt::Write;
use std::hint::black_box;

use jiff::Timestamp;
use kogge_git::{Author, Options, Reference, Remote, Renderer, Repository, commit_all, init_with};

const DIRECTORIES: usize = 200;
const OBJECTS: usize = 4;

fn manifest(directory: usize, object: usize) -> String {
    let kind = ["ServiceAccount", "Service", "ConfigMap", "Secret"][object % 4];
    let mut text =
        format!("apiVersion: v1\nkind: {kind}\nmetadata:\n  name: app-{directory}\n  labels:\n");
    for label in 0..8 {
        let _ = writeln!(text, "    example.com/label-{label}: value-{directory}-{label}");
    }
    text
}

#[expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench measures and prints")]
fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = std::time::Instant::now();
    let result = run();
    println!("{what:<45} {:>9.2?}", start.elapsed());
    result
}

fn main() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let origin = place.path().join("origin");
    let author = Author { name: "bench".to_owned(), email: "bench@example.com".to_owned() };
    let time = Timestamp::UNIX_EPOCH;
    let files: Vec<(String, String)> = (0..DIRECTORIES)
        .flat_map(|i| (0..OBJECTS).map(move |j| (format!("apps/{i}/{j}.yaml"), manifest(i, j))))
        .collect();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    timed("make the repository", || init_with(&origin, &files, "all", &author, time))
        .expect("a repository");

    let cache = Repository::open_or_init(&place.path().join("cache")).expect("a cache");
    let remote = Remote::new(origin.display().to_string());
    let fetch = || cache.fetch(&remote, &Reference::branch("main")).expect("a revision").commit;
    let commit = timed("fetch", fetch);
    timed("fetch again, unchanged", fetch);

    let renderer = Renderer::new(100_000);
    let options = Options::default();
    let render = |commit: &str| {
        for i in 0..DIRECTORIES {
            let tree = cache.tree(commit, &format!("apps/{i}")).expect("a tree");
            let objects = black_box(renderer.render(&tree, &options).expect("objects"));
            assert_eq!(objects.len(), OBJECTS);
        }
    };
    timed("render 200 directories of 4 objects", || render(&commit));
    timed("render them again, remembered", || render(&commit));

    std::fs::write(origin.join("apps/7/0.yaml"), manifest(1_000, 0)).expect("a file");
    let next =
        timed("commit one change", || commit_all(&origin, "one", &author, time)).expect("a commit");
    assert_eq!(timed("fetch it", fetch), next);
    timed("render after it: one anew, 199 remembered", || render(&next));
}
