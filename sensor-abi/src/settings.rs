//! What the agent tells the in-kernel programs once, at load, as frozen read-only data.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

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
    /// The bits of `inode.i_state` of an inode that is being torn down, or was: `I_FREEING | I_CLEAR`.
    pub inode_gone: u32,
}
