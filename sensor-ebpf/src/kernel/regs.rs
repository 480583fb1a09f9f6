//! `struct pt_regs`: the registers of a system call.

use aya_ebpf::helpers::generated::{bpf_get_current_task_btf, bpf_task_pt_regs};

use super::{load, offset, read, setting, task::Task};

/// `THREAD_SIZE`, and the size of the struct, before 5.15.
const STACK: u64 = 16 << 10;
const SIZE: u64 = 168;

/// Registers, by address.
#[derive(Clone, Copy)]
pub struct Regs(pub u64);

impl Regs {
    /// Those with which the current task entered the kernel; of the system call that it is in, if it is in one.
    // KERNEL(5.15): `bpf_task_pt_regs`. Before, no kernel pads the top of the stack (FRED does, 6.9).
    #[inline(always)]
    pub fn current() -> Self {
        if setting!(task_regs) == 0 {
            let stack: u64 = read(Task::current().0, offset!(task_stack));
            return Self(stack.wrapping_add(STACK - SIZE));
        }
        // SAFETY: the helpers have no preconditions.
        Self(unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) } as u64)
    }
    /// The number of the system call that the current task is in, as fast as can be.
    #[inline(always)]
    pub fn current_number() -> u64 {
        let current = Self::current();
        if setting!(task_regs) == 0 { current.number() } else { load(current.0, offset!(regs_nr)) }
    }
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
