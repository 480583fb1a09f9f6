//! Arming: the flow hooks stand only while something is marked. A thread of its own waits for the urgent ring, so that
//! no amount of work elsewhere makes it late.
//!
//! Tracepoints are attached at once. Functions take longer: the system calls are their bridge, until a second thread has
//! attached them all. Then the beginnings of system calls are left to them. The ends stay until every call has ended that
//! began before, or for as long as a call that waits may take (`handover.rs`).

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use aya::maps::{Array, MapData};
use rustix::event::{PollFd, PollFlags, poll};
use sensor_abi::state::{
    ARMED, DUTY, RINGS, TWINS,
    duty::{BOTH, CALLS, FUNCTIONS},
};

use super::{
    attach::{AttachError, Group, Loaded, take},
    handover::{Calls, Finder, Waiting},
    plan::Set,
};
use crate::{bell::Bell, clock, sys};

/// The ends of system calls are looked at for at least this time after the functions stand: a call that runs then has
/// ended, and requests of io_uring.
const LEAST: Duration = Duration::from_secs(1);
/// And at most for this: what still waits is another's to look after.
const MOST: Duration = Duration::from_secs(10);
/// How often it is asked what is in progress.
const STEP: Duration = Duration::from_millis(250);

/// The switch.
#[derive(Clone)]
pub struct Arming(Arc<Shared>);

struct Shared {
    switch: Mutex<Switch>,
    /// The switch was turned.
    turned: Condvar,
    armed: AtomicBool,
    stop: AtomicBool,
    /// Rings at the end.
    ended: Bell,
    /// When the flow hooks stood last, ns since boot.
    armed_ns: AtomicU64,
    /// They are never taken off.
    always: AtomicBool,
    /// Nor once they have stood: functions could not be attached again.
    once: bool,
    /// Under `fentry`.
    finder: Option<Finder>,
}

struct Switch {
    /// Attached for as long as the agent runs.
    _watch: Group,
    quick: Group,
    /// The second thread takes them.
    slow: Group,
    state: Array<MapData, u64>,
    /// Under `fentry`: what is in progress.
    calls: Option<Calls>,
    relief: Relief,
    failure: Option<AttachError>,
    /// What still waited when the ends of system calls were left.
    left: Vec<Waiting>,
}

/// How far the functions have got that take over from system calls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Relief {
    /// They are to be attached once the switch is on.
    Due,
    /// They stand.
    Stands,
    /// They cannot be attached: the system calls go on.
    Failed,
}

impl Switch {
    fn set(&mut self, index: u32, value: u64) {
        // An array element that is there can be written.
        let _ = self.state.set(index, value, 0);
    }

    /// The functions stand: calls that begin from now on are theirs.
    fn stand(&mut self) {
        self.set(DUTY, BOTH);
        self.quick.detach_set(Set::Bridge);
        self.relief = Relief::Stands;
    }

    /// Leaves the ends of system calls, when no call is in progress that began before, or after the longest time.
    fn let_go(&mut self, since: Duration) -> bool {
        let may_wait = |calls: &Calls| since < MOST && calls.waiting() > 0;
        if since < LEAST || self.calls.as_ref().is_some_and(may_wait) {
            return false;
        }
        self.left = self.calls.as_ref().map(Calls::left).unwrap_or_default();
        self.quick.detach_set(Set::Ends);
        self.set(DUTY, FUNCTIONS);
        tracing::debug!(ms = since.as_millis() as u64, left = self.left.len(), "the bridge is off");
        true
    }
}

impl Arming {
    /// Takes what is loaded; with `always` the flow hooks are attached at once and for good. `ended` is for itself.
    pub fn new(mut loaded: Loaded, always: bool, ended: Bell) -> Result<Self, AttachError> {
        let state = take(&mut loaded.ebpf, "STATE")?;
        let (calls, finder) = if loaded.slow.is_empty() {
            (None, None)
        } else {
            (Some(Calls::open(&mut loaded.ebpf)?), Some(Finder::open(&mut loaded.ebpf)?))
        };
        let Loaded { watch, quick, mut slow, once, .. } = loaded;
        if always {
            slow.attach()?;
        }
        let (rings, twins) = (quick.has("uring_done"), quick.has("returned_again"));
        let mut switch =
            Switch { _watch: watch, quick, slow, state, calls, relief: Relief::Due, failure: None, left: Vec::new() };
        switch.set(RINGS, u64::from(rings));
        switch.set(TWINS, u64::from(twins));
        let arming = Self(Arc::new(Shared {
            switch: Mutex::new(switch),
            turned: Condvar::new(),
            armed: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            ended,
            armed_ns: AtomicU64::new(0),
            always: AtomicBool::new(always),
            once,
            finder,
        }));
        if always {
            arming.arm();
        }
        Ok(arming)
    }

    /// Starts the thread that arms when something arrives on the urgent ring, and the one that attaches functions.
    pub fn watch(&self, urgent: OwnedFd) -> std::io::Result<()> {
        let slow = std::mem::take(&mut self.lock().slow);
        if !slow.is_empty() {
            let arming = self.clone();
            thread::Builder::new().name("relief".into()).spawn(move || arming.relieve(slow))?;
        }
        let arming = self.clone();
        thread::Builder::new().name("arm".into()).spawn(move || arming.wait_for_births(&urgent))?;
        Ok(())
    }

    /// With many processes that crash at once the thread would wait its turn behind them, and behind their handlers. It has
    /// little to do, and seldom.
    fn wait_for_births(&self, urgent: &OwnedFd) {
        if let Err(error) = sys::run_first() {
            tracing::info!(%error, "arming waits its turn on a busy machine: CAP_SYS_NICE would let it come first");
        }
        while self.is_disarmed() {
            let mut fds = [urgent.as_fd(), self.0.ended.as_fd()].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
            // An interrupted wait has seen nothing.
            if poll(&mut fds, None).is_ok() && !fds[0].revents().is_empty() {
                self.arm();
            }
        }
    }

    /// Waits until the flow hooks do not stand. False at the end.
    fn is_disarmed(&self) -> bool {
        let mut switch = self.lock();
        while !self.0.stop.load(Ordering::Relaxed) {
            if !self.is_armed() {
                return true;
            }
            switch = self.0.turned.wait(switch).unwrap_or_else(PoisonError::into_inner);
        }
        false
    }

    /// Follows the switch with the hooks that take time.
    fn relieve(&self, mut slow: Group) {
        let mut standing = self.is_kept();
        while let Some(armed) = self.next_turn(standing) {
            if armed {
                standing = self.relieve_once(&mut slow);
            } else {
                slow.detach();
                standing = false;
            }
        }
    }

    /// Attaches them, and lets them take over if that is still wanted. When they cannot be attached, the bridge stays.
    fn relieve_once(&self, slow: &mut Group) -> bool {
        let start = clock::boottime();
        let result = slow.attach();
        let took = clock::boottime().saturating_sub(start) / 1_000_000;
        let mut switch = self.lock();
        if let Err(error) = result {
            slow.detach();
            switch.failure = Some(error);
            switch.relief = Relief::Failed;
            self.0.turned.notify_all();
            return false;
        }
        tracing::debug!(ms = took, "the flow hooks on functions stand");
        if self.is_armed() {
            switch.stand();
            drop(switch);
            self.0.turned.notify_all();
            self.hand_over();
        }
        true
    }

    /// Waits for the calls that are in progress; those that began before any program was attached are looked for.
    fn hand_over(&self) {
        let (armed, start) = (self.armed_at(), Instant::now());
        if let Some(finder) = &self.0.finder {
            finder.find();
        }
        loop {
            thread::sleep(STEP);
            let mut switch = self.lock();
            let same = self.is_armed() && self.armed_at() == armed && !self.0.stop.load(Ordering::Relaxed);
            if !same || switch.let_go(start.elapsed()) {
                return;
            }
        }
    }

    /// What still waits in a call that began before the functions stood; told once.
    pub fn left(&self) -> Vec<Waiting> {
        std::mem::take(&mut self.lock().left)
    }

    /// Waits until the functions are to be attached, or detached when they stand. `None` at the end.
    fn next_turn(&self, standing: bool) -> Option<bool> {
        let mut switch = self.lock();
        while !self.0.stop.load(Ordering::Relaxed) {
            let armed = self.is_armed();
            if armed && switch.relief == Relief::Due || !armed && standing {
                return Some(armed);
            }
            switch = self.0.turned.wait(switch).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Switch> {
        self.0.switch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Attaches the flow hooks, unless they stand. A failure is kept for [`Self::failure`].
    pub fn arm(&self) {
        let mut switch = self.lock();
        if self.is_armed() {
            return;
        }
        if let Some(calls) = &mut switch.calls {
            calls.clear();
        }
        if let Err(error) = switch.quick.attach() {
            switch.quick.detach();
            switch.failure = Some(error);
            return;
        }
        self.0.armed.store(true, Ordering::Release);
        self.0.armed_ns.store(clock::boottime(), Ordering::Relaxed);
        // The kernel side only looks at inherited descriptors while this is 0; a late write costs nothing else.
        switch.set(ARMED, 1);
        self.0.turned.notify_all();
    }

    /// Detaches the flow hooks, unless they are to stand always, or could not be attached again. True when they stood.
    pub fn disarm(&self) -> bool {
        let mut switch = self.lock();
        if !self.is_armed() || self.is_kept() || self.0.once {
            return false;
        }
        switch.set(ARMED, 0);
        switch.set(DUTY, CALLS);
        switch.quick.detach();
        switch.relief = Relief::Due;
        self.0.armed.store(false, Ordering::Release);
        self.0.turned.notify_all();
        true
    }

    /// With `true` the flow hooks are attached now and never taken off.
    pub fn keep(&self, always: bool) {
        self.0.always.store(always, Ordering::Release);
        if always {
            self.arm();
        }
    }

    /// Waits until the functions stand as well, or says why they do not. Only under `fentry` there are some.
    pub fn whole(&self) -> Result<(), String> {
        let waits = |switch: &mut Switch| switch.failure.is_none() && switch.relief == Relief::Due;
        let waited = self.0.turned.wait_timeout_while(self.lock(), MOST, waits);
        let (switch, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match (&switch.failure, switch.relief) {
            (Some(error), _) => Err(format!("not all hooks can be attached: {error}")),
            (None, Relief::Stands) => Ok(()),
            (None, _) => Err("not all hooks could be attached".to_owned()),
        }
    }

    fn is_kept(&self) -> bool {
        self.0.always.load(Ordering::Acquire)
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
        self.lock().failure.take()
    }

    /// Ends the threads.
    pub fn stop(&self) {
        self.0.stop.store(true, Ordering::Relaxed);
        self.0.ended.ring();
        self.0.turned.notify_all();
    }
}
