//! Folders that come and go below others: the kernel says so, so that nobody has to walk the tree to find none.

use std::{fs::File, io::Read, path::Path};

use rustix::{
    fs::inotify::{self, CreateFlags, WatchFlags},
    io::Errno,
};

/// The folders that are watched.
#[derive(Debug)]
pub struct Folders {
    /// None when they cannot be watched: then any of them may have changed.
    queue: Option<File>,
}

impl Default for Folders {
    fn default() -> Self {
        Self { queue: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok().map(File::from) }
    }
}

impl Folders {
    /// To be called before the folder is read, so that no change falls between. Beyond `fs.inotify.max_user_watches` the
    /// kernel watches none.
    pub fn add(&mut self, folder: &Path) {
        let what = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE | WatchFlags::ONLYDIR;
        let added = self.queue.as_ref().map(|queue| inotify::add_watch(queue, folder, what));
        match added {
            // One that is gone by now has no children.
            None | Some(Ok(_) | Err(Errno::NOENT)) => {}
            Some(Err(error)) => {
                tracing::debug!(%error, "{} cannot be watched: the tree is read each time", folder.display());
                self.queue = None;
            }
        }
    }

    /// Whether something came or went since the last call; true when it cannot be told.
    pub fn changed(&mut self) -> bool {
        let Some(mut queue) = self.queue.as_ref() else { return true };
        let (mut events, mut changed) = ([0; 4096], false);
        while queue.read(&mut events).is_ok_and(|n| n > 0) {
            changed = true;
        }
        changed
    }
}
