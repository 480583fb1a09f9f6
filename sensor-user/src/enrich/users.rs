//! Names of users, from /etc/passwd alone: asking NSS could reach the network.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// User names by user id; read again when the file changes.
#[derive(Debug)]
pub struct Users {
    path: PathBuf,
    seen: Option<(SystemTime, u64)>,
    names: HashMap<u32, String>,
}

impl Users {
    /// A cache over the file at `path`, read at the first question.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), seen: None, names: HashMap::new() }
    }

    /// The first name of user `id`, when the file has one.
    pub fn name(&mut self, id: u32) -> Option<&str> {
        self.refresh();
        self.names.get(&id).map(String::as_str)
    }

    /// All of them, number and first name, when the file has changed since they were last read.
    pub fn changes(&mut self) -> Option<Vec<(u32, String)>> {
        let seen = self.seen;
        self.refresh();
        (self.seen != seen).then(|| self.names.iter().map(|(id, name)| (*id, name.clone())).collect())
    }

    fn refresh(&mut self) {
        let now = stamp(&self.path);
        if now == self.seen && now.is_some() {
            return;
        }
        // A file that is being replaced may be missing for a moment: the old names are better than none.
        if let Ok(bytes) = std::fs::read(&self.path) {
            self.names = parse(&String::from_utf8_lossy(&bytes));
            self.seen = now;
        }
    }
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

/// `name:password:uid:...`; the first line of a uid wins, as in getpwuid(3).
fn parse(text: &str) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in text.lines() {
        let mut parts = line.split(':');
        let name = parts.next().filter(|n| !n.is_empty() && !n.starts_with('#'));
        let id = parts.nth(1).and_then(|id| id.parse().ok());
        if let (Some(name), Some(id)) = (name, id) {
            names.entry(id).or_insert_with(|| name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_uid_wins_and_nonsense_is_skipped() {
        let names =
            parse("root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\n#c:x:5:\nbad\n:x:7:\n+::::::\nu:x:many:\n");
        assert_eq!(names.get(&0).map(String::as_str), Some("root"));
        assert_eq!(names.len(), 1);
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_missing_one_keeps_the_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwd");
        std::fs::write(&path, "ann:x:1000:\n").unwrap();
        let mut users = Users::new(&path);
        assert_eq!(users.name(1000), Some("ann"));
        std::fs::write(&path, "ann:x:1000:\nbob:x:1001:\n").unwrap();
        assert_eq!(users.name(1001), Some("bob"));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(users.name(1000), Some("ann"));
    }

    #[test]
    fn this_host_knows_root() {
        assert_eq!(Users::new("/etc/passwd").name(0), Some("root"));
    }
}
