//! A case: one script of `xtask/corpus`, and what its head promises.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cmd;

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Case {
    /// Its letter says what it is about: A makes a dump, B moves one, C only looks like it.
    pub(super) name: String,
    pub(super) script: PathBuf,
    /// It belongs to the set that runs by default.
    pub(super) fast: bool,
    /// Commands that it needs.
    pub(super) tools: Vec<String>,
    pub(super) expect: Expect,
    /// Why the agent does not say it yet.
    pub(super) blind: Option<String>,
    /// How long it works on purpose; an ordinary case ends when it has done its work.
    pub(super) minutes: u64,
}

/// What the agent must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// Each file that the case names is known as a dump, or as one's copy.
    Known,
    /// The dump crosses to the sink.
    Sent { bytes: Bytes, port: Port, severity: Severity },
    /// No alert of severity medium or above.
    Silent,
}

/// How many bytes a crossing has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bytes {
    /// As many as the sink got, within 1 %.
    Counted,
    /// The protocol adds or removes bytes, so that the sink's count says little.
    Encoded,
}

/// Whose port the far end has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    /// The one that the case was given.
    Given,
    /// Any: the far end connected, or the protocol opens another connection.
    Any,
}

/// An alert's severity, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    None,
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    const NAMES: [(&str, Self); 5] = [
        ("info", Self::Info),
        ("low", Self::Low),
        ("medium", Self::Medium),
        ("high", Self::High),
        ("critical", Self::Critical),
    ];

    /// What this name means; no alert for any other.
    pub(super) fn named(name: &str) -> Self {
        Self::NAMES.iter().find(|(known, _)| *known == name).map_or(Self::None, |(_, severity)| *severity)
    }

    pub(super) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, severity)| *severity == self).map_or("no alert", |(name, _)| name)
    }
}

/// Where the scripts are.
pub(super) fn folder() -> PathBuf {
    cmd::root().join("xtask/corpus")
}

/// Hours of work in minutes, beside dumps that lie there: no case of the corpus, but played and judged like one.
pub(super) fn soak(minutes: u64) -> Result<Case> {
    let script = folder().join("soak.sh");
    let case = Case::read(&script, &fs::read_to_string(&script)?)?;
    Ok(Case { minutes, ..case })
}

/// Every case, by name.
pub(super) fn all() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder().join("cases"))? {
        let script = entry?.path();
        let text = fs::read_to_string(&script)?;
        cases.push(Case::read(&script, &text).with_context(|| script.display().to_string())?);
    }
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(cases)
}

impl Case {
    fn read(script: &Path, text: &str) -> Result<Self> {
        let name = script.file_stem().and_then(|name| name.to_str()).context("not a name")?;
        let line = |key: &str| text.lines().find_map(|line| line.strip_prefix("# ")?.strip_prefix(key));
        let expect = line("expect: ").context("no line `# expect:`")?;
        Ok(Self {
            name: name.to_owned(),
            script: script.to_owned(),
            fast: line("set: fast").is_some(),
            tools: line("tools: ").unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
            expect: Expect::read(expect).with_context(|| format!("expect: {expect}"))?,
            blind: line("blind: ").map(str::to_owned),
            minutes: 0,
        })
    }
}

impl Expect {
    fn read(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        Ok(match words[..] {
            ["known"] => Self::Known,
            ["silent"] => Self::Silent,
            ["sent", bytes, port, severity] => {
                Self::Sent { bytes: Bytes::read(bytes)?, port: Port::read(port)?, severity: Severity::read(severity)? }
            }
            _ => bail!("`known`, `silent` or `sent BYTES PORT SEVERITY`"),
        })
    }
}

impl Bytes {
    fn read(word: &str) -> Result<Self> {
        match word {
            "counted" => Ok(Self::Counted),
            "encoded" => Ok(Self::Encoded),
            _ => bail!("bytes are `counted` or `encoded`"),
        }
    }
}

impl Port {
    fn read(word: &str) -> Result<Self> {
        match word {
            "port" => Ok(Self::Given),
            "any-port" => Ok(Self::Any),
            _ => bail!("the far end is `port` or `any-port`"),
        }
    }
}

impl Severity {
    fn read(word: &str) -> Result<Self> {
        match Self::named(word) {
            Self::None => bail!("{word} is no severity"),
            severity => Ok(severity),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_a_whole_head() {
        let cases = all().unwrap();
        assert!(cases.iter().any(|case| case.fast));
        assert!(!cases.iter().any(|case| case.fast && case.blind.is_some()));
        for case in &cases {
            let text = fs::read_to_string(&case.script).unwrap();
            for start in [format!("# {}: ", case.name), "# flow: ".to_owned(), "# tools: ".to_owned()] {
                assert!(text.lines().any(|line| line.starts_with(&start)), "{} has no line `{start}`", case.name);
            }
        }
    }

    #[test]
    fn reads_a_head_and_refuses_what_it_does_not_know() {
        let read = |expect: &str| {
            let text = format!("#!/bin/bash\n# B-x: x\n# tools: a b\n# expect: {expect}\n# set: fast\n");
            Case::read(Path::new("/x/B-x.sh"), &text)
        };
        let case = read("sent counted any-port low").unwrap();
        assert!(case.fast && case.tools == ["a", "b"] && case.name == "B-x");
        let expected = Expect::Sent { bytes: Bytes::Counted, port: Port::Any, severity: Severity::Low };
        assert_eq!(case.expect, expected);
        for wrong in ["", "sent", "sent counted any-port", "sent all port low", "sent counted port worst", "silence"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
