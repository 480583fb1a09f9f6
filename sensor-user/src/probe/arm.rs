//! Arming: the flow hooks stand only while something is marked. A thread of its own waits for the urgent ring, so that
//! no amount of work elsewhere makes it late.

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use aya::maps::{Array, MapData};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    attach::{AttachError, Loaded},
    plan::Set,
};
use crate::clock;

/// `STATE[ARMED]`, see sensor-ebpf/src/maps.rs.
const ARMED: u32 = 1;
/// While armed, the thread looks again after this time whether it is to wait for births.
const NAP: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// The switch.
#[derive(Clone)]
pub struct Arming(Arc<Shared>);

struct Shared {
    loaded: Mutex<Switch>,
    armed: AtomicBool,
    stop: AtomicBool,
    /// When the flow hooks stood last, ns since boot.
    armed_ns: AtomicU64,
    always: bool,
}

struct Switch {
    loaded: Loaded,
    state: Array<MapData, u64>,
    failure: Option<AttachError>,
}

impl Arming {
    /// Takes what is loaded; with `always` the flow hooks are attached at once and for good.
    pub fn new(mut loaded: Loaded, always: bool) -> Result<Self, AttachError> {
        let map =
            loaded.ebpf.take_map("STATE").ok_or(AttachError::Map { name: "STATE", reason: "is missing".into() })?;
        let state = Array::try_from(map).map_err(|e| AttachError::Map { name: "STATE", reason: e.to_string() })?;
        let switch = Switch { loaded, state, failure: None };
        let arming = Self(Arc::new(Shared {
            loaded: Mutex::new(switch),
            armed: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            armed_ns: AtomicU64::new(0),
            always,
        }));
        if always {
            arming.arm();
        }
        Ok(arming)
    }

    /// Starts the thread that arms when something arrives on the urgent ring.
    pub fn watch(&self, urgent: OwnedFd) -> std::io::Result<thread::JoinHandle<()>> {
        let arming = self.clone();
        thread::Builder::new().name("arm".into()).spawn(move || {
            while !arming.0.stop.load(Ordering::Relaxed) {
                let mut fds = [PollFd::from_borrowed_fd(urgent.as_fd(), PollFlags::IN)];
                let ready = if arming.is_armed() {
                    thread::park_timeout(std::time::Duration::from_nanos(NAP.tv_nsec as u64));
                    false
                } else {
                    poll(&mut fds, Some(&NAP)).is_ok_and(|n| n > 0)
                };
                if ready {
                    arming.arm();
                }
            }
        })
    }

    /// Attaches the flow hooks, unless they stand. A failure is kept for [`Self::failure`].
    pub fn arm(&self) {
        let mut switch = self.0.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_armed() {
            return;
        }
        if let Err(error) = switch.loaded.attach(Set::Flow) {
            switch.loaded.detach(Set::Flow);
            switch.failure = Some(error);
            return;
        }
        self.0.armed.store(true, Ordering::Release);
        self.0.armed_ns.store(clock::boottime(), Ordering::Relaxed);
        // The kernel side only looks at inherited descriptors while this is 0; a late write costs nothing else.
        let _ = switch.state.set(ARMED, 1, 0);
    }

    /// Detaches the flow hooks, unless they are to stand always.
    pub fn disarm(&self) {
        let mut switch = self.0.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_armed() || self.0.always {
            return;
        }
        let _ = switch.state.set(ARMED, 0, 0);
        switch.loaded.detach(Set::Flow);
        self.0.armed.store(false, Ordering::Release);
    }

    /// True while the flow hooks stand.
    pub fn is_armed(&self) -> bool {
        self.0.armed.load(Ordering::Acquire)
    }

    /// When the flow hooks stood last, ns since boot; 0 for never.
    pub fn armed_at(&self) -> u64 {
        self.0.armed_ns.load(Ordering::Relaxed)
    }

    /// Why arming failed, once.
    pub fn failure(&self) -> Option<AttachError> {
        self.0.loaded.lock().unwrap_or_else(PoisonError::into_inner).failure.take()
    }

    /// Ends the thread.
    pub fn stop(&self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}
