//! Which files hold dumps, as the steps of earlier agents tell. An agent that starts knows these again, under their ids.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use serde::Deserialize;

use super::{
    frame::{Frame, Kind},
    reader::{Item, read},
};
use crate::{
    clock::Time,
    step::{Confidence, DumpKind, DumpRef, Exposure, FileRef, Id, Origin, Place, Process, StepKind},
    trail::Known,
};

/// Most files: the newest ones.
const FILES: usize = 10_000;

/// A file that holds a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The file, by the name that it had last.
    pub file: FileRef,
    /// The dump, and how it is there.
    pub known: Known,
}

/// What the records before a time say.
#[derive(Debug, Default)]
pub struct Holders {
    /// The files, the newest last.
    pub files: Vec<Holder>,
    /// Time of the last record.
    pub last: Time,
}

/// Reads the journal in `dir`. What is damaged is passed over: its steps are missing, no more. `before` is when the agent
/// that asks began: its own records say nothing of when the one before ended.
pub fn holders(dir: &Path, before: Time) -> Holders {
    let mut books = Books::default();
    for item in read(dir) {
        match item {
            Ok(Item::Frame(frame)) => books.take(&frame, before),
            Ok(Item::Corrupt(_)) => {}
            // The reader would say so for ever.
            Err(_) => break,
        }
    }
    books.close()
}

/// Path of a file, dump.
type Key = (String, String);

#[derive(Debug, Default)]
struct Books {
    /// With the number of the record that told last.
    files: BTreeMap<Key, (usize, Holder)>,
    /// What carriers are called by now: the last word on a file may be from before it was renamed.
    names: BTreeMap<String, String>,
    contents: BTreeMap<String, Id>,
    records: usize,
    last: Time,
}

/// What of a record counts here.
#[derive(Deserialize)]
struct Line {
    time: String,
    #[serde(rename = "step.kind")]
    kind: Option<String>,
    #[serde(rename = "step.confidence")]
    confidence: Option<String>,
    #[serde(rename = "step.bytes")]
    bytes: Option<u64>,
    #[serde(rename = "dump.id")]
    dump: Option<String>,
    #[serde(rename = "dump.content")]
    content: Option<String>,
    #[serde(rename = "dump.kind")]
    dump_kind: Option<String>,
    #[serde(rename = "dump.size")]
    size: Option<u64>,
    #[serde(rename = "dump.created")]
    created: Option<String>,
    #[serde(rename = "to.id")]
    to: Option<String>,
    #[serde(rename = "file.path")]
    path: Option<String>,
    #[serde(rename = "file.inode")]
    inode: Option<u64>,
    #[serde(rename = "mount.fstype")]
    fstype: Option<String>,
    #[serde(flatten)]
    origin: Birth,
}

#[derive(Deserialize)]
struct Birth {
    #[serde(rename = "origin.zone")]
    zone: Option<String>,
    #[serde(rename = "origin.exposure")]
    exposure: Option<String>,
    #[serde(rename = "origin.host")]
    host: Option<String>,
    #[serde(rename = "origin.inferred")]
    inferred: Option<bool>,
    #[serde(rename = "origin.process.pid")]
    pid: Option<u32>,
    #[serde(rename = "origin.process.command")]
    command: Option<String>,
    #[serde(rename = "origin.process.executable.path")]
    executable: Option<String>,
    #[serde(rename = "origin.user.id")]
    user: Option<u32>,
    #[serde(rename = "origin.container.id")]
    container: Option<String>,
}

impl Books {
    fn take(&mut self, frame: &Frame, before: Time) {
        if !matches!(frame.kind, Kind::Step | Kind::Notice) {
            return;
        }
        let Ok(line) = serde_json::from_slice::<Line>(&frame.payload) else { return };
        let Some(time) = Time::parse(&line.time) else { return };
        if time < before {
            self.last = self.last.max(time);
        }
        self.records += 1;
        if let (Some(dump), Some(content)) = (&line.dump, line.content.as_deref().and_then(Id::parse)) {
            self.contents.insert(dump.clone(), content);
        }
        if let (Some(kind), Some(to)) = (line.kind.as_deref().and_then(StepKind::from_name), line.to.clone()) {
            self.step(kind, to, &line);
        }
    }

    fn step(&mut self, kind: StepKind, carrier: String, line: &Line) {
        match kind {
            StepKind::Created | StepKind::Found | StepKind::Written => self.put(carrier, line),
            StepKind::Linked => self.named(&carrier, line, false),
            StepKind::Renamed => self.named(&carrier, line, true),
            StepKind::Deleted | StepKind::Truncated => {
                let name = self.names.remove(&carrier).or_else(|| line.path.clone());
                self.dumps_of(name.as_deref()).iter().for_each(|key| drop(self.files.remove(key)));
            }
            _ => {}
        }
    }

    fn put(&mut self, carrier: String, line: &Line) {
        let Some(mut holder) = line.holder() else { return };
        let Some(path) = holder.file.path.clone() else { return };
        let name = self.names.entry(carrier).or_insert(path).clone();
        holder.file.path = Some(name.clone());
        self.files.insert((name, holder.known.dump.id.to_string()), (self.records, holder));
    }

    /// A file has another name, or one more.
    fn named(&mut self, carrier: &str, line: &Line, only: bool) {
        let (Some(old), Some(new)) = (self.names.get(carrier).cloned(), line.path.clone()) else { return };
        for key in self.dumps_of(Some(&old)) {
            let entry = if only { self.files.remove(&key) } else { self.files.get(&key).cloned() };
            if let Some((_, mut holder)) = entry {
                holder.file.path = Some(new.clone());
                self.files.insert((new.clone(), key.1), (self.records, holder));
            }
        }
        self.names.insert(carrier.to_owned(), new);
    }

    fn dumps_of(&self, path: Option<&str>) -> Vec<Key> {
        let Some(path) = path else { return Vec::new() };
        let all = self.files.range((path.to_owned(), String::new())..);
        all.take_while(|((name, _), _)| name == path).map(|(key, _)| key.clone()).collect()
    }

    fn close(self) -> Holders {
        let mut files: Vec<(usize, Holder)> = self.files.into_values().collect();
        files.sort_by_key(|(record, _)| *record);
        let old = files.len().saturating_sub(FILES);
        let known = |(_, mut holder): (usize, Holder)| {
            holder.known.dump.content = self.contents.get(&holder.known.dump.id.to_string()).copied();
            holder
        };
        Holders { files: files.into_iter().skip(old).map(known).collect(), last: self.last }
    }
}

impl Line {
    /// None for what is no file, holds nothing, or holds something else.
    fn holder(&self) -> Option<Holder> {
        let path = self.path.clone().filter(|path| path.starts_with('/'))?;
        let confidence = Confidence::from_name(self.confidence.as_deref()?)?;
        let bytes = self.bytes.filter(|bytes| *bytes > 0)?;
        if !matches!(confidence, Confidence::Direct | Confidence::Derived) {
            return None;
        }
        let dump = DumpRef {
            id: Id::parse(self.dump.as_deref()?)?,
            content: None,
            kind: DumpKind::from_name(self.dump_kind.as_deref()?)?,
            size: self.size,
            created: Time::parse(self.created.as_deref()?)?,
            candidates: Vec::new(),
        };
        let file = FileRef { path: Some(path), inode: self.inode?, fstype: self.fstype.clone() };
        Some(Holder { file, known: Known { dump, origin: self.origin.origin()?, confidence, bytes } })
    }
}

impl Birth {
    fn origin(&self) -> Option<Origin> {
        let exposure = Exposure::from_name(self.exposure.as_deref()?)?;
        let place = Place { zone: Arc::from(self.zone.as_deref()?), exposure };
        let process = self.pid.map(|pid| {
            Arc::new(Process {
                pid,
                comm: self.command.clone().unwrap_or_default(),
                executable: self.executable.clone(),
                user_id: self.user.unwrap_or_default(),
                container_id: self.container.clone(),
                ..Process::default()
            })
        });
        let (host, inferred) = (Arc::from(self.host.as_deref()?), self.inferred.unwrap_or(true));
        Some(Origin { place, host, inferred, process, candidates: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{
        super::frame::{FORMAT, Position},
        *,
    };

    const DUMP: &str = "2c21d8a80a965a1b88faa2d4df44a64f";

    fn step(kind: &str, file: &str, more: &Value) -> Value {
        let mut step = json!({
            "time": "2026-11-28T01:00:00Z", "step.kind": kind, "step.confidence": "direct", "step.bytes": 462_848,
            "dump.id": DUMP, "dump.kind": "kernel-core", "dump.size": 462_848, "dump.created": "2026-11-28T00:00:00Z",
            "to.id": file, "file.path": format!("/cores/{file}"), "file.inode": 7,
            "origin.zone": "production", "origin.exposure": "isolated", "origin.host": "h", "origin.inferred": false,
            "origin.process.pid": 42, "origin.process.command": "victim", "origin.user.id": 5,
        });
        step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        step
    }

    fn after(steps: &[Value]) -> Vec<Holder> {
        let mut books = Books::default();
        for step in steps {
            let frame = Frame {
                kind: Kind::Step,
                payload: serde_json::to_vec(step).unwrap(),
                format: FORMAT,
                end: Position::default(),
            };
            books.take(&frame, Time::parse("2026-11-28T02:00:00Z").unwrap());
        }
        books.close().files
    }

    fn paths(steps: &[Value]) -> Vec<String> {
        after(steps).into_iter().filter_map(|holder| holder.file.path).collect()
    }

    #[test]
    fn a_dump_and_its_copies_are_known_again() {
        let all = after(&[
            step("created", "core", &json!({})),
            step("written", "copy", &json!({})),
            step("written", "hash", &json!({"step.confidence": "weak"})),
        ]);
        let names: Vec<_> = all.iter().map(|holder| holder.file.path.clone().unwrap()).collect();
        assert_eq!(names, ["/cores/core", "/cores/copy"]);
        let known = &all[0].known;
        assert_eq!(known.dump.id.to_string(), DUMP);
        assert_eq!((&*known.origin.place.zone, known.origin.place.exposure), ("production", Exposure::Isolated));
        assert_eq!(known.origin.process.as_ref().map(|process| (process.pid, process.user_id)), Some((42, 5)));
        assert!(!known.origin.inferred && known.confidence == Confidence::Direct);
    }

    #[test]
    fn names_change_and_end() {
        let core = || step("created", "core", &json!({}));
        let renamed = step("renamed", "core", &json!({"file.path": "/cores/other"}));
        assert_eq!(paths(&[core(), renamed.clone()]), ["/cores/other"]);
        assert_eq!(paths(&[core(), renamed.clone(), core()]), ["/cores/other"], "the last word by the first name");
        assert_eq!(paths(&[core(), step("deleted", "core", &json!({}))]), [""; 0]);
        assert_eq!(paths(&[core(), step("truncated", "core", &json!({}))]), [""; 0]);
        let deleted = step("deleted", "core", &json!({"file.path": "/cores/other"}));
        assert_eq!(paths(&[core(), renamed, deleted]), [""; 0]);
        let linked = step("linked", "core", &json!({"file.path": "/cores/link"}));
        assert_eq!(paths(&[core(), linked]), ["/cores/core", "/cores/link"]);
    }

    #[test]
    fn after_a_reboot_files_are_other_carriers_of_the_same_path() {
        let found = || step("found", "again", &json!({"file.path": "/cores/core"}));
        assert_eq!(paths(&[step("created", "core", &json!({})), found()]), ["/cores/core"]);
        let emptied = step("truncated", "again", &json!({"file.path": "/cores/core"}));
        assert_eq!(paths(&[step("created", "core", &json!({})), found(), emptied]), [""; 0]);
    }

    #[test]
    fn what_is_no_step_or_damaged_counts_for_nothing() {
        for wrong in [
            json!({"dump.id": "x"}),
            json!({"file.path": "core"}),
            json!({"step.bytes": 0}),
            json!({"dump.kind": "?"}),
            json!({"file.inode": null}),
            json!({"origin.zone": null}),
        ] {
            assert_eq!(paths(&[step("created", "core", &wrong)]), [""; 0], "{wrong}");
        }
    }
}
