//! `struct tty_struct`: one end of a terminal.

use sensor_abi::{
    key::{CarrierKey, class},
    offsets::MISSING,
};

use super::{offset, read};

/// One end, by address.
#[derive(Clone, Copy)]
pub struct Tty(pub u64);

impl Tty {
    /// The one that an open file's private data leads to.
    #[inline(always)]
    pub fn of_private(data: u64) -> Self {
        Self(if offset!(tty_of_file) == MISSING || data == 0 { 0 } else { read(data, offset!(tty_of_file)) })
    }
    /// The end where what is written to this one is read; address 0 for a line that leads out of the machine.
    #[inline(always)]
    pub fn other(self) -> Self {
        Self(if self.0 == 0 { 0 } else { read(self.0, offset!(tty_link)) })
    }
    /// Key in `OBJECT`, for who reads here.
    #[inline(always)]
    pub fn key(self) -> CarrierKey {
        CarrierKey { id: self.0, dev: class::TTY, generation: read(self.0, offset!(tty_index)) }
    }
    /// Something that another terminal at its address seldom has: both ends are made anew, each with a port. When all lie
    /// where the last ones lay, it is the same; `engine::opened` sees to that.
    #[inline(always)]
    pub fn fingerprint(self) -> u64 {
        let port: u64 = read(self.0, offset!(tty_port));
        self.other().0 ^ port.rotate_left(17)
    }
    /// True when nobody has it open.
    #[inline(always)]
    pub fn is_dead(self) -> bool {
        read::<i32>(self.0, offset!(tty_count)) <= 0
    }
}
