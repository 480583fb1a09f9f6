//! What the agent tells the in-kernel programs once, at load, as frozen read-only data.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What the programs call for `bpf_rdonly_cast`, a function of the kernel that is called by its number in the kernel's BTF:
/// the agent puts that in.
pub const CAST: u32 = 0x7d00_0001;

/// Frozen at load: the verifier sees constants and drops the branches that do not apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Settings {
    /// The agent's own tgid: its reads mark nothing, its sends are no sinks. Its children are not exempt.
    pub agent_tgid: u32,
    /// 1 when `bpf_get_current_task_btf` exists (5.11): direct loads in place of probe reads.
    pub task_btf: u32,
    /// 1 when `bpf_task_pt_regs` exists (5.15): where the registers of a call lie is the kernel's business.
    pub task_regs: u32,
    /// 1 when command lines may be put into records (`privacy.command_line` is not `none`).
    pub argv: u32,
    /// Type numbers of `struct file` and `struct timespec64` in the kernel's BTF where an address can be given a type
    /// (`bpf_rdonly_cast`, 6.2), so that what it points to is loaded, not copied; 0 elsewhere.
    pub file_type: u32,
    /// See `file_type`. A struct that begins with a number of 64 bits stands for an element of a table of
    /// addresses: what is loaded is an address that may be passed on, not a pointer.
    pub word_type: u32,
    /// The bits of `inode.i_state` of an inode that is being torn down, or was: `I_FREEING | I_CLEAR`.
    pub inode_gone: u32,
    /// 1 when FIFOs have functions of their own (6.15), which may or may not call those of pipes: the compiler's choice.
    pub fifos: u32,
}
