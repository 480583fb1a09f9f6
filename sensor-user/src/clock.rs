//! Time. The only place that asks a clock; everything else is told.

use jiff::Timestamp;

/// Wall-clock time, ns since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time(pub u64);

impl Time {
    /// RFC 3339 with nanoseconds, UTC.
    pub fn rfc3339(self) -> String {
        Timestamp::from_nanosecond(i128::from(self.0)).map_or_else(|_| self.0.to_string(), |t| format!("{t:.9}"))
    }
    /// Reads RFC 3339; none for other text, and before 1970.
    pub fn parse(text: &str) -> Option<Self> {
        u64::try_from(text.parse::<Timestamp>().ok()?.as_nanosecond()).ok().map(Self)
    }
    /// Of a file, as its inode has it. Before 1970 it is the end of time.
    pub const fn of_inode(seconds: i64, ns: u64) -> Self {
        Self((seconds as u64).saturating_mul(1_000_000_000).saturating_add(ns))
    }
    /// Nanoseconds from `earlier` to `self`; 0 when the order is the other way round.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Turns the kernel's `CLOCK_BOOTTIME` into wall-clock time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Wall-clock time of the boot, ns since the epoch.
    boot: u64,
}

impl Clock {
    /// Reads both clocks. Ask again now and then: the wall clock is stepped by NTP and by people.
    pub fn sample() -> Self {
        let real = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Self { boot: nanos(real).saturating_sub(nanos(boot)) }
    }
    /// A clock whose boot was at `boot`: for replay and tests.
    pub const fn fixed(boot: Time) -> Self {
        Self { boot: boot.0 }
    }
    /// The kernel time stamp of a wall-clock time; 0 before the boot.
    pub const fn boottime(&self, wall: Time) -> u64 {
        wall.0.saturating_sub(self.boot)
    }
    /// The wall-clock time of a kernel time stamp.
    pub const fn wall(&self, boottime_ns: u64) -> Time {
        Time(self.boot.saturating_add(boottime_ns))
    }
}

/// Now, on the wall.
pub fn now() -> Time {
    Time(nanos(rustix::time::clock_gettime(rustix::time::ClockId::Realtime)))
}

/// Now, since boot, ns.
pub fn boottime() -> u64 {
    nanos(rustix::time::clock_gettime(rustix::time::ClockId::Boottime))
}

fn nanos(t: rustix::time::Timespec) -> u64 {
    (t.tv_sec.unsigned_abs()).saturating_mul(1_000_000_000).saturating_add(t.tv_nsec.unsigned_abs())
}
