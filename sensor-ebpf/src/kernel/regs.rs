//! `struct pt_regs`: the registers of a system call.

use super::{offset, read};

/// Registers, by address.
#[derive(Clone, Copy)]
pub struct Regs(pub u64);

impl Regs {
    /// System call number.
    #[inline(always)]
    pub fn number(self) -> u64 {
        read(self.0, offset!(regs_nr))
    }
    /// Argument `n`, 0 to 5.
    #[inline(always)]
    pub fn arg(self, n: u8) -> u64 {
        match n {
            0 => read(self.0, offset!(regs_a0)),
            1 => read(self.0, offset!(regs_a1)),
            2 => read(self.0, offset!(regs_a2)),
            3 => read(self.0, offset!(regs_a3)),
            4 => read(self.0, offset!(regs_a4)),
            _ => read(self.0, offset!(regs_a5)),
        }
    }
}
