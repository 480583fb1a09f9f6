//! What this host offers. Probed, never guessed from a version number.

use std::{collections::BTreeMap, fs, path::PathBuf};

use sensor_abi::offsets::Offsets;
use thiserror::Error;

use super::{
    btf::Btf,
    plan::{self, Kind},
};
use crate::sys;

/// Why nothing can run here, with what to do.
#[derive(Debug, Error)]
pub enum FeatureError {
    /// No BTF.
    #[error(
        "cannot read /sys/kernel/btf/vmlinux ({0}): Dumptrail needs a kernel with CONFIG_DEBUG_INFO_BTF=y (every current distribution kernel has it); in a container, mount /sys"
    )]
    NoBtf(std::io::Error),
    /// BTF that does not parse.
    #[error("cannot read this kernel's BTF: {0}")]
    Btf(#[from] super::btf::BtfError),
    /// A struct member that the engine cannot do without.
    #[error(
        "this kernel's BTF has no {0}: the kernel is newer or older than this release knows (5.10 to 7.2); please report it with the output of `uname -r`"
    )]
    Offset(&'static str),
}

/// What was found.
#[expect(clippy::struct_excessive_bools, reason = "each is a feature of its own")]
#[derive(Debug, Default)]
pub struct Features {
    /// `uname -r`.
    pub release: String,
    /// Raw tracepoints that some hook wants, and their argument types.
    pub tracepoints: BTreeMap<String, Vec<String>>,
    /// Functions that some hook wants, and their argument types.
    pub functions: BTreeMap<String, Vec<String>>,
    /// Offsets of struct members.
    pub offsets: Option<Offsets>,
    /// Members that this kernel does not have.
    pub missing_offsets: Vec<&'static str>,
    /// `bpf_get_current_task_btf` exists (5.11).
    pub task_btf: bool,
    /// `bpf_task_pt_regs` exists (5.15).
    pub task_regs: bool,
    /// An address can be given a type (6.2).
    pub cast: Option<Cast>,
    /// The bits of `inode.i_state` of an inode that is being torn down, or was.
    pub inode_gone: u32,
    /// FIFOs have functions of their own.
    pub fifos: bool,
    /// Programs on tracepoints may be preempted. Told by how the kernel counts what runs on a CPU, which came with it.
    // KERNEL(7.2): `bpf_prog.active` is a byte for each context; it was one number.
    pub preempts: bool,
    /// Active LSMs; empty when they cannot be read.
    pub lsm: Vec<String>,
    /// Mount point of cgroup v2.
    pub cgroup: Option<PathBuf>,
    /// Capabilities that are missing and without which nothing runs, by name.
    pub missing_capabilities: Vec<&'static str>,
    /// Capabilities that are missing and without which less is seen.
    pub lacks: Vec<Lack>,
    /// The agent is in the initial pid namespace.
    pub initial_pid_namespace: bool,
    /// Kernel modules that serve files without a system call.
    pub kernel_servers: Vec<String>,
}

/// Numbers in the kernel's BTF.
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    /// The function `bpf_rdonly_cast`.
    pub function: u32,
    /// `struct file`.
    pub file: u32,
    /// `struct timespec64`, which begins with a number of 64 bits.
    pub word: u32,
}

impl Cast {
    fn find(btf: &Btf) -> Option<Self> {
        let (function, structs) = (btf.function_number("bpf_rdonly_cast")?, |name| btf.struct_number(name));
        let cast = Self { function, file: structs("file")?, word: structs("timespec64")? };
        sys::is_taken(&cast.trial()).then_some(cast)
    }

    /// A program that casts a number and loads by it.
    fn trial(self) -> [u64; 6] {
        let (function, word) = (u64::from(self.function), u64::from(self.word));
        [
            0x01b7,                  // r1 = 0
            0x02b7 | word << 32,     // r2 = the type
            0x2085 | function << 32, // call the kernel's function
            0x0079,                  // r0 = *(u64 *)(r0 + 0)
            0x00b7,                  // r0 = 0
            0x0095,                  // exit
        ]
    }
}

/// A capability without which the agent runs but sees less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lack {
    bit: u32,
    /// Its name.
    pub capability: &'static str,
    /// What is not seen without it.
    pub blind: &'static str,
}

/// Members without which the engine still works.
const OPTIONAL: &[&str] = &[
    "pid_namespace.idr.idr_rt.xa_head",
    "xa_node.shift",
    "xa_node.slots",
    "pid.level",
    "pid.numbers",
    "pid.tasks",
    "upid.ns",
    "task_struct.pid_links",
    "task_struct.thread_pid",
    "proc_inode.pid",
    "proc_inode.vfs_inode",
    "bdev_inode.vfs_inode",
    "bdev_inode.bdev",
    "block_device.bd_disk",
    "gendisk.major",
    "gendisk.private_data",
    "loop_device.lo_backing_file",
    "ipc_namespace.ids",
    "ipc_namespace.sem_ctls",
    "ipc_ids.ipcs_idr.idr_rt.xa_head",
    "nsproxy.ipc_ns",
    "shmid_kernel.shm_file",
    "kern_ipc_perm.id",
    "kern_ipc_perm.seq",
    "kern_ipc_perm.deleted",
    "fuse_dev.fc",
    "fuse_mount.fc",
    "fuse_chan.conn",
    "fuse_dev.chan",
    "fuse_req.chan",
    "fuse_conn.scramble_key",
    "fuse_req.in.h.len",
    "fuse_req.in.h.opcode",
    "fuse_req.in.h.pid",
    "fuse_req.fm",
    "fuse_req.out.h.len",
    "fuse_req.out.h.error",
    "fuse_req.args",
    "fuse_args_pages.folios|fuse_args_pages.pages",
    "tty_file_private.tty",
    "tty_struct.link",
    "tty_struct.port",
    "tty_struct.index",
    "tty_struct.count",
    "ovl_inode.vfs_inode",
    "ovl_inode.__upperdentry",
    "ovl_inode.oe",
    "ovl_entry.__lowerstack",
    "ovl_path.dentry",
    "ovl_inode.lowerpath.dentry",
    "ovl_inode.lower",
    "task_struct.loginuid",
    "task_struct.cgroups",
    "css_set.dfl_cgrp",
    "cgroup.self",
    "cgroup.self.parent",
    "cgroup.kn",
    "kernfs_node.id",
    "inode.i_readcount",
    "signal_struct.core_state",
    "mm_struct.core_state",
    "io_kiocb.file",
    "io_kiocb.opcode",
];

/// What may be a module, which tells its layout while it is loaded, from 5.11 on.
const MODULES: [&str; 3] = ["fuse", "loop", "overlay"];

/// Looks.
pub fn probe() -> Result<Features, FeatureError> {
    let mut btf = Btf::parse(fs::read("/sys/kernel/btf/vmlinux").map_err(FeatureError::NoBtf)?)?;
    let prototypes =
        |btf: &Btf| wanted(|kind| matches!(kind, Kind::Tracepoint | Kind::Typed), |name| btf.tracepoint(name));
    let (mut tracepoints, mut told) = (prototypes(&btf), BTreeMap::new());
    let absent: Vec<_> = Offsets::resolve(|spec| btf.offset(spec)).1.collect();
    for module in MODULES {
        let Ok(module) = fs::read(format!("/sys/kernel/btf/{module}")) else { continue };
        btf = btf.with_module(&module)?;
        told.extend(absent.iter().filter_map(|spec| Some((*spec, btf.offset(spec)?))));
        tracepoints.extend(prototypes(&btf));
    }
    let (offsets, missing) = Offsets::resolve(|spec| told.get(spec).copied().or_else(|| btf.offset(spec)));
    let missing: Vec<_> = missing.collect();
    if let Some(spec) = missing.iter().find(|s| !OPTIONAL.contains(s)) {
        return Err(FeatureError::Offset(spec));
    }
    let held = effective(&fs::read_to_string("/proc/self/status").unwrap_or_default());
    Ok(Features {
        release: rustix::system::uname().release().to_string_lossy().into_owned(),
        tracepoints,
        functions: wanted(|kind| matches!(kind, Kind::Entry | Kind::Exit), |name| btf.function(name)),
        offsets: Some(offsets),
        missing_offsets: missing,
        task_btf: btf.has_function("bpf_get_current_task_btf"),
        task_regs: btf.has_function("bpf_task_pt_regs"),
        cast: Cast::find(&btf),
        inode_gone: inode_gone(|name| btf.enumerator(name), btf.has_function("inode_bit_waitqueue")),
        fifos: btf.has_function("fifo_pipe_read"),
        preempts: btf.type_of("bpf_prog", "active").as_deref() == Some("u8 *"),
        lsm: active_lsms(),
        cgroup: cgroup_root(&mountinfo()),
        missing_capabilities: missing_capabilities(held),
        lacks: LACKS.iter().filter(|l| !has(held, l.bit)).copied().collect(),
        initial_pid_namespace: initial_pid_namespace(),
        kernel_servers: kernel_servers(&fs::read_to_string("/proc/modules").unwrap_or_default()),
    })
}

/// `I_FREEING | I_CLEAR`. The flags have moved: an enum since 6.18, which BTF knows; before, macros, which it does not.
/// They were renumbered in 6.12 by the same change that brought the function `inode_bit_waitqueue`: `renumbered`.
// KERNEL(6.18): `enum inode_state_flags_t`; KERNEL(6.12): `enum inode_state_bits`, which the BTF of most builds leaves out.
fn inode_gone(enumerator: impl Fn(&str) -> Option<u32>, renumbered: bool) -> u32 {
    match (enumerator("I_FREEING"), enumerator("I_CLEAR"), renumbered) {
        (Some(freeing), Some(clear), _) => freeing | clear,
        (_, _, true) => 1 << 7 | 1 << 8,
        _ => 1 << 5 | 1 << 6,
    }
}

/// Targets of the hooks of some kinds, with their arguments.
fn wanted(
    kind: impl Fn(Kind) -> bool,
    arguments: impl Fn(&str) -> Option<Vec<String>>,
) -> BTreeMap<String, Vec<String>> {
    let targets = plan::all().filter(|hook| kind(hook.kind)).flat_map(|hook| hook.targets);
    targets.filter_map(|name| Some(((*name).to_owned(), arguments(name)?))).collect()
}

/// Active LSMs; none when they cannot be read.
pub fn active_lsms() -> Vec<String> {
    let text = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    text.trim().split(',').filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

/// The host's mounts, which are not this process's in a pod or in a unit with private folders.
fn mountinfo() -> String {
    let texts = ["/proc/1/mountinfo", "/proc/self/mountinfo"].into_iter().map(fs::read_to_string);
    texts.flatten().next().unwrap_or_default()
}

/// Mount point of cgroup v2, in mountinfo.
fn cgroup_root(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, fs) = line.split_once(" - ")?;
        fs.starts_with("cgroup2 ").then(|| mount.split(' ').nth(4).map(PathBuf::from))?
    })
}

/// Capabilities for more than to load and attach: each was taken away from a running agent to see what fails.
const LACKS: &[Lack] = &[
    Lack {
        bit: 19,
        capability: "CAP_SYS_PTRACE",
        blind: "who holds a dump of another user's process, executables and namespaces of such processes, and, in a mount namespace of its own, the host's files",
    },
    Lack {
        bit: 2,
        capability: "CAP_DAC_READ_SEARCH",
        blind: "content, renames and deletions of dumps that the agent's user may not read",
    },
    Lack {
        bit: CAP_SYS_ADMIN,
        capability: "CAP_SYS_ADMIN",
        blind: "who renamed, linked or deleted a dump (before Linux 5.13 also that it happened), and what a process had mapped before it read one",
    },
];
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

fn effective(status: &str) -> u64 {
    let hex = status.lines().find_map(|l| l.strip_prefix("CapEff:"));
    hex.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
}

const fn has(held: u64, bit: u32) -> bool {
    held >> bit & 1 == 1
}

fn missing_capabilities(held: u64) -> Vec<&'static str> {
    let needed = [(CAP_BPF, "CAP_BPF"), (CAP_PERFMON, "CAP_PERFMON")];
    needed.iter().filter(|(bit, _)| !has(held, *bit) && !has(held, CAP_SYS_ADMIN)).map(|(_, name)| *name).collect()
}

/// `PROC_PID_INIT_INO`: the number of the initial pid namespace is fixed in the kernel (include/linux/proc_ns.h).
fn initial_pid_namespace() -> bool {
    fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.to_string_lossy() == "pid:[4026531836]")
}

fn kernel_servers(modules: &str) -> Vec<String> {
    let names = modules.lines().filter_map(|l| l.split(' ').next());
    names.filter(|n| matches!(*n, "nfsd" | "ksmbd")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_of_a_dying_inode_have_moved() {
        let at = |known: &'static [(&str, u32)], renumbered| {
            inode_gone(|name| known.iter().find(|(n, _)| *n == name).map(|(_, value)| *value), renumbered)
        };
        assert_eq!(at(&[], false), 0x60);
        assert_eq!(at(&[], true), 0x180);
        assert_eq!(at(&[("I_FREEING", 256), ("I_CLEAR", 512)], true), 0x300);
    }

    #[test]
    fn a_cast_is_tried() {
        let text = fs::read("/sys/kernel/btf/vmlinux").unwrap();
        let btf = Btf::parse(text).unwrap();
        let known = btf.function_number("bpf_rdonly_cast").is_some();
        let root = rustix::process::geteuid().is_root();
        assert_eq!(Cast::find(&btf).is_some(), known && root);
        let wrong = Cast { function: 1, file: 0, word: btf.struct_number("timespec64").unwrap() };
        assert!(!sys::is_taken(&wrong.trial()), "number 1 is no function");
    }

    #[test]
    fn this_kernel_has_what_the_engine_needs() {
        let features = probe().unwrap();
        assert!(features.tracepoints.contains_key("sys_enter"), "{features:?}");
    }

    #[test]
    fn capabilities_are_told_by_name() {
        let missing = |hex: &str| missing_capabilities(effective(&format!("CapPrm:\t0\nCapEff:\t{hex}\n")));
        assert_eq!(missing("000001ffffffffff"), Vec::<&str>::new());
        assert_eq!(missing("0000000000000000"), ["CAP_BPF", "CAP_PERFMON"]);
        assert_eq!(missing("0000008000000000"), ["CAP_PERFMON"]);
        assert_eq!(missing("0000000000200000"), Vec::<&str>::new(), "CAP_SYS_ADMIN implies both");
    }

    #[test]
    fn finds_cgroup_two_on_hybrid_hosts() {
        let text = "31 25 0:27 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(cgroup_root(text), Some(PathBuf::from("/sys/fs/cgroup/unified")));
    }
}
