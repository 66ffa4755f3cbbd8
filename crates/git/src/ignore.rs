//! Which files of a tree are none of ours: `.sourceignore`, `spec.ignore`, dotfiles, and what CI systems keep beside manifests.

use gix::ignore::Search;
use gix::ignore::search::Ignore;

use crate::tree::join;

/// What Flux leaves out unless `spec.ignore` says otherwise, beyond dotfiles: files of CI services without a dot.
const DEFAULT: &str = "appveyor.yml\ncloudbuild.yaml\ncodeship-services.yml\ncodeship-steps.yml\n";

/// Patterns in .gitignore's language. Later ones win, deeper directories over outer ones.
pub(crate) struct Patterns {
    /// From weakest to strongest: their directory, and what they say.
    lists: Vec<(String, Search)>,
}

impl Patterns {
    pub(crate) fn new() -> Self {
        Self { lists: Vec::new() }
    }

    /// `spec.ignore` in place of the defaults.
    pub(crate) fn defaults(ignore: Option<&str>) -> Self {
        let mut patterns = Self::new();
        patterns.add("", ignore.unwrap_or(DEFAULT).as_bytes());
        patterns
    }

    /// Patterns of a file in `directory`.
    pub(crate) fn add(&mut self, directory: &str, text: &[u8]) {
        let mut search = Search::default();
        let source = join(directory, ".sourceignore");
        // Only the source's encoding could be refused, and there is no file behind it.
        if search
            .add_patterns_buffer(text, source, None, Ignore { support_precious: false })
            .is_ok()
        {
            self.lists.push((directory.to_owned(), search));
        }
    }

    /// Whether a pattern excludes this file, or a directory that it lies in.
    pub(crate) fn exclude(&self, file: &str) -> bool {
        let ends = file.match_indices('/').map(|(at, _)| at);
        ends.into_iter().any(|end| self.verdict(&file[..end], true) == Some(true))
            || self.verdict(file, false) == Some(true)
    }

    /// What the strongest pattern that matches says; nothing where none does.
    fn verdict(&self, path: &str, is_directory: bool) -> Option<bool> {
        self.lists.iter().rev().find_map(|(directory, search)| {
            let relative = match directory.as_str() {
                "" => path,
                directory => path.strip_prefix(directory)?.strip_prefix('/')?,
            };
            let case = gix::glob::pattern::Case::Sensitive;
            let found =
                search.pattern_matching_relative_path(relative.into(), Some(is_directory), case)?;
            Some(!found.pattern.is_negative())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lists: &[(&str, &str)], excluded: &[&str], kept: &[&str]) {
        let mut patterns = Patterns::new();
        for (directory, text) in lists {
            patterns.add(directory, text.as_bytes());
        }
        let out = |it: &&&str| patterns.exclude(it);
        assert_eq!(excluded.iter().filter(|it| !out(it)).collect::<Vec<_>>(), [&""; 0], "kept");
        assert_eq!(kept.iter().filter(out).collect::<Vec<_>>(), [&""; 0], "excluded");
    }

    #[test]
    fn patterns_are_those_of_gitignore() {
        check(
            &[("", "*.txt\n/docs/\n# no\n!keep.txt\n")],
            &["a/b.txt", "docs/x.yaml"],
            &["keep.txt", "a/docs/x.yaml", "a.yaml"],
        );
        check(
            &[("", "/*\n!/deploy/\n")],
            &["a.yaml", "other/x.yaml"],
            &["deploy/x.yaml", "deploy/a/b.yaml"],
        );
        check(&[("", "a/**/z.yaml\n")], &["a/z.yaml", "a/b/c/z.yaml"], &["b/z.yaml"]);
    }

    #[test]
    fn a_deeper_list_wins_and_counts_from_its_directory() {
        check(
            &[("", "*.yaml\n"), ("deploy", "!/a.yaml\n")],
            &["a.yaml", "deploy/b/a.yaml"],
            &["deploy/a.yaml"],
        );
        check(
            &[("deploy", "/x.yaml\n")],
            &["deploy/x.yaml"],
            &["x.yaml", "deploys/x.yaml", "deploy/y/x.yaml"],
        );
    }

    #[test]
    fn what_lies_in_an_excluded_directory_cannot_come_back() {
        check(&[("", "docs/\n"), ("docs", "!a.yaml\n")], &["docs/a.yaml"], &[]);
    }
}
