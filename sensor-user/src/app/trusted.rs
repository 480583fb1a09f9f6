//! Declassifiers: executables that the configuration trusts, by path and hash. One whose hash differs is not trusted, and
//! an executable that is replaced later is another file, which is not trusted until a reload looks at it.

use std::fs::File;

use crate::{
    clock,
    config::{Config, schema::TrustedDef},
    enrich::{mounts::Mounts, process::sha256},
    step::Notice,
};

/// Opens what is trusted; says what is not what it should be. The agent's own program is: another agent on this host (an
/// old one during an update) looks into every dump as well, and without this all its readers would hold the dump.
pub(super) fn open(config: &Config, mounts: &Mounts) -> (Vec<File>, Vec<Notice>) {
    let (mut files, mut notices) = (Vec::new(), Vec::new());
    files.extend(File::open("/proc/self/exe"));
    for def in &config.trusted {
        match check(def, mounts) {
            Ok(file) => files.push(file),
            Err(why) => {
                let text = format!("{} is not trusted: {why}", def.path.value);
                notices.push(Notice { time: clock::now(), kind: "not-trusted", text, dump: None, content: None });
            }
        }
    }
    (files, notices)
}

fn check(def: &TrustedDef, mounts: &Mounts) -> Result<File, String> {
    let file = File::open(mounts.here(&*def.path.value)).map_err(|e| e.to_string())?;
    let hash = file.try_clone().ok().and_then(sha256).ok_or("it cannot be read")?;
    if hash == *def.sha256.value {
        return Ok(file);
    }
    Err(format!("its SHA-256 is {hash}, the configuration says {}", def.sha256.value))
}
