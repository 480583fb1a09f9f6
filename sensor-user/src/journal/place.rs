//! The directory: its own, closed to others, on a local disk, and one agent's at a time.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

use rustix::{
    fs::{FlockOperation, flock, statfs},
    io::Errno,
};

use super::JournalError;

/// File systems whose server can be away, or whose files others see: `f_type` from statfs(2).
const REFUSED: &[(u32, &str)] = &[
    (0x6969, "nfs"),
    (0xFF53_4D42, "cifs"),
    (0xFE53_4D42, "smb2"),
    (0x517B, "smb"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "fuse"),
    (0x00C3_6400, "ceph"),
    (0x5346_414F, "afs"),
    (0x6B41_4653, "afs"),
    (0x7375_7245, "coda"),
    (0x0BD0_0BD0, "lustre"),
    (0x1983_0326, "beegfs"),
    (0x4750_4653, "gpfs"),
];

/// Makes or checks the directory and locks it for as long as the file lives.
pub(super) fn claim(dir: &Path) -> Result<File, JournalError> {
    let failed = |operation| move |source| JournalError::Io { operation, path: dir.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed("create"))?;
    ours(dir, 0o077)?;
    let kind = statfs(dir).map_err(|e| failed("inspect the file system of")(e.into()))?.f_type as u32;
    if let Some(name) = refused(kind) {
        return Err(JournalError::Network { dir: dir.to_owned(), name });
    }
    lock(dir)
}

/// The directory belongs to who runs the agent, and no permission of `closed` is open.
pub fn ours(dir: &Path, closed: u32) -> Result<(), JournalError> {
    let failed = |source| JournalError::Io { operation: "inspect", path: dir.to_owned(), source };
    let meta = fs::metadata(dir).map_err(failed)?;
    let me = rustix::process::geteuid().as_raw();
    if meta.uid() != me {
        return Err(JournalError::Owner { dir: dir.to_owned(), owner: meta.uid(), me });
    }
    if meta.mode() & closed != 0 {
        return Err(JournalError::Mode { dir: dir.to_owned(), mode: meta.mode() & 0o7777 });
    }
    Ok(())
}

fn refused(kind: u32) -> Option<&'static str> {
    REFUSED.iter().find(|(magic, _)| *magic == kind).map(|(_, name)| *name)
}

fn lock(dir: &Path) -> Result<File, JournalError> {
    let path = dir.join("lock");
    let failed = |operation, source| JournalError::Io { operation, path: path.clone(), source };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|e| failed("open", e))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(JournalError::Locked { dir: dir.to_owned() }),
        Err(e) => Err(failed("lock", e.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_new_directory_is_private_and_one_agent_s() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("state/dumptrail");
        let lock = claim(&dir).unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o7777, 0o700);
        assert!(matches!(claim(&dir), Err(JournalError::Locked { .. })));
        drop(lock);
        claim(&dir).unwrap();
    }

    #[test]
    fn a_directory_open_to_others_or_not_ours_is_refused() {
        let base = tempfile::tempdir().unwrap();
        fs::set_permissions(base.path(), fs::Permissions::from_mode(0o750)).unwrap();
        let error = claim(base.path()).unwrap_err().to_string();
        assert!(error.contains("chmod 700"), "{error}");
        let not_ours = if rustix::process::geteuid().is_root() {
            fs::set_permissions(base.path(), fs::Permissions::from_mode(0o700)).unwrap();
            std::os::unix::fs::chown(base.path(), Some(12_345), None).unwrap();
            base.path()
        } else {
            Path::new("/")
        };
        assert!(matches!(claim(not_ours), Err(JournalError::Owner { .. })));
    }

    #[test]
    fn network_file_systems_are_known() {
        assert_eq!(refused(0x6969), Some("nfs"));
        assert_eq!(refused(0xEF53), None, "ext4");
        // /proc is no disk at all: making a directory there fails with the reason.
        assert!(matches!(claim(Path::new("/proc/dumptrail")), Err(JournalError::Io { operation: "create", .. })));
    }
}
