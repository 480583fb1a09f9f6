//! The one executor: loads what the plan says, attaches it, and hands out the maps.

use std::{
    ffi::CString,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::{Array, Map, MapError},
    programs::{BtfTracePoint, FEntry, FExit, Program, ProgramError, ProgramFd, RawTracePoint},
};
use sensor_abi::{
    ABI,
    settings::{CAST, Settings},
    state::TRIALS,
};
use thiserror::Error;

use super::{
    features::Features,
    fence::Fence,
    plan::{Chosen, Kind, Plan, Set},
    policy::Policy,
};
use crate::sys;

/// Why the kernel side does not stand.
#[derive(Debug, Error)]
pub enum AttachError {
    /// The ELF was built from other layouts.
    #[error("the in-kernel programs have ABI {found:#x}, this agent has {ABI:#x}: rebuild both from one source")]
    Abi {
        /// What the ELF says.
        found: u64,
    },
    /// The ELF does not load.
    #[error("cannot load the in-kernel programs: {0}")]
    Load(#[from] aya::EbpfError),
    /// A program is refused.
    #[error("cannot load program {program}: {source}")]
    Program {
        /// Its name.
        program: &'static str,
        /// The verifier's answer.
        source: aya::programs::ProgramError,
    },
    /// A program cannot be attached.
    #[error("cannot attach program {program} to {target}: {source}")]
    Attach {
        /// Its name.
        program: &'static str,
        /// Where to.
        target: &'static str,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// Trampolines do not work here.
    #[error("{0}")]
    Trial(String),
    /// A program is not in the ELF.
    #[error("the ELF has no program {0}")]
    NoProgram(&'static str),
    /// A map is not in the ELF, or of another type.
    #[error("map {name}: {reason}")]
    Map {
        /// Its name.
        name: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The programs' counters cannot be read.
    #[error("cannot watch the loaded programs: {0}")]
    Skips(String),
    /// No offsets were resolved.
    #[error("struct offsets have not been resolved")]
    NoOffsets,
}

/// The function of the trial.
const TRIED: &str = "bpf_fentry_test1";

/// The ELF, built by build.rs.
static ELF: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sensor-ebpf"));

/// The ELF, its maps made, no program loaded yet.
pub struct Opened {
    ebpf: Ebpf,
    /// The kernel's BTF as aya knows it, once it is needed.
    btf: Option<Btf>,
    /// The trial program could not be attached a second time.
    once: bool,
}

/// Loaded programs and maps, with the watch hooks attached.
pub struct Loaded {
    /// aya's handle: maps are taken from it.
    pub ebpf: Ebpf,
    /// Rare events.
    pub watch: Group,
    /// Flow hooks that are attached at once: tracepoints.
    pub quick: Group,
    /// Flow hooks whose attachment takes time: functions.
    pub slow: Group,
    /// What is taken off a function cannot be attached again.
    pub once: bool,
}

/// Programs that are attached and detached together.
#[derive(Default)]
pub struct Group(Vec<Attachable>);

struct Attachable {
    chosen: Chosen,
    tracepoint: Option<CString>,
    fd: ProgramFd,
    link: Option<OwnedFd>,
}

/// What this process tells the programs; with `argv` records may carry command lines.
pub fn settings(features: &Features, argv: bool) -> Settings {
    Settings {
        agent_tgid: std::process::id(),
        task_btf: u32::from(features.task_btf),
        task_regs: u32::from(features.task_regs),
        argv: u32::from(argv),
        file_type: features.cast.map_or(0, |cast| cast.file),
        word_type: features.cast.map_or(0, |cast| cast.word),
        inode_gone: features.inode_gone,
        fifos: u32::from(features.fifos),
    }
}

/// Reads the ELF and makes its maps.
pub fn open(features: &Features, settings: Settings) -> Result<Opened, AttachError> {
    let offsets = features.offsets.ok_or(AttachError::NoOffsets)?;
    let mut loader = EbpfLoader::new();
    loader.override_global("OFFSETS", &offsets, true).override_global("SETTINGS", &settings, true);
    check_abi()?;
    let named = features.cast.map(|cast| naming(ELF, CAST, cast.function));
    let ebpf = loader.load(named.as_deref().unwrap_or(ELF))?;
    Ok(Opened { ebpf, btf: None, once: false })
}

/// Takes a map, as the type that it must have.
pub fn take<T: TryFrom<Map, Error = MapError>>(ebpf: &mut Ebpf, name: &'static str) -> Result<T, AttachError> {
    let map = ebpf.take_map(name).ok_or(AttachError::Map { name, reason: "is not in the ELF".to_owned() })?;
    T::try_from(map).map_err(|e| AttachError::Map { name, reason: e.to_string() })
}

impl Opened {
    /// Do trampolines work here? Some kernels have the functions and refuse to attach; of others it is not known whether a
    /// program that is attached runs. So one is attached to a function that the kernel has for this, and run.
    pub fn trial(&mut self) -> Result<(), AttachError> {
        let link = self.load_trial().and_then(|()| self.attach_trial())?;
        let program = self.ebpf.program("trial").ok_or(AttachError::NoProgram("trial"))?;
        let fd = program.fd().map_err(|source| AttachError::Program { program: "trial", source })?;
        let ran = sys::run_program(fd.as_fd(), &[]);
        drop(link);
        self.once = self.attach_trial().is_err();
        ran.map_err(|e| AttachError::Trial(format!("the trial program cannot be run: {e}")))?;
        let map = |reason: String| AttachError::Map { name: "STATE", reason };
        let state = self.ebpf.map("STATE").ok_or_else(|| map("is missing".to_owned()))?;
        let state: Array<_, u64> = Array::try_from(state).map_err(|e| map(e.to_string()))?;
        let trials = state.get(&TRIALS, 0).map_err(|e| map(e.to_string()))?;
        if trials > 0 {
            Ok(())
        } else {
            Err(AttachError::Trial("the trial program was attached and did not run".into()))
        }
    }

    /// KERNEL(5.13): a program can be attached again. Before, it forgets its function when it is taken off
    /// (`bpf_tracing_prog_attach`). Known after the trial.
    pub const fn attaches_once(&self) -> bool {
        self.once
    }

    /// Loads the programs that answer; nothing is attached yet.
    pub fn fence(&mut self) -> Result<Fence, String> {
        Fence::load(&mut self.ebpf, btf(&mut self.btf).map_err(|e| e.to_string())?, self.once)
    }

    /// The maps by which they decide.
    pub fn policy(&mut self) -> Result<Policy, AttachError> {
        Policy::open(&mut self.ebpf)
    }

    fn load_trial(&mut self) -> Result<(), AttachError> {
        let wrong = |source| AttachError::Program { program: "trial", source };
        let program = self.ebpf.program_mut("trial").ok_or(AttachError::NoProgram("trial"))?;
        let program: &mut FEntry = program.try_into().map_err(wrong)?;
        program.load(TRIED, btf(&mut self.btf).map_err(wrong)?).map_err(wrong)
    }

    fn attach_trial(&self) -> Result<OwnedFd, AttachError> {
        let program = self.ebpf.program("trial").ok_or(AttachError::NoProgram("trial"))?;
        let fd = program.fd().map_err(|source| AttachError::Program { program: "trial", source })?.as_fd();
        sys::attach_program(fd, None).map_err(|source| AttachError::Attach { program: "trial", target: TRIED, source })
    }

    /// Loads all programs of the plan and attaches the watch hooks.
    pub fn load(mut self, plan: &Plan) -> Result<Loaded, AttachError> {
        let (mut watch, mut quick, mut slow) = (Group::default(), Group::default(), Group::default());
        for chosen in &plan.hooks {
            let program = chosen.hook.program;
            let fd = self.load_one(*chosen).map_err(|source| AttachError::Program { program, source })?;
            let group = match (chosen.set, chosen.hook.kind) {
                (Set::Agent, _) => continue,
                (Set::Watch, _) => &mut watch,
                (Set::Flow | Set::Bridge | Set::Ends, Kind::Tracepoint | Kind::Typed | Kind::Own) => &mut quick,
                (Set::Flow | Set::Bridge | Set::Ends, Kind::Entry | Kind::Exit) => &mut slow,
            };
            group.0.push(Attachable::new(*chosen, fd));
        }
        watch.attach()?;
        Ok(Loaded { ebpf: self.ebpf, watch, quick, slow, once: self.once })
    }

    fn load_one(&mut self, chosen: Chosen) -> Result<ProgramFd, ProgramError> {
        let name = chosen.hook.program;
        let missing = || ProgramError::IOError(std::io::Error::other(format!("the ELF has no program {name}")));
        let program = self.ebpf.program_mut(name).ok_or_else(missing)?;
        match chosen.hook.kind {
            Kind::Tracepoint | Kind::Own => <&mut RawTracePoint>::try_from(&mut *program)?.load()?,
            Kind::Typed => <&mut BtfTracePoint>::try_from(&mut *program)?.load(chosen.target, btf(&mut self.btf)?)?,
            Kind::Entry => <&mut FEntry>::try_from(&mut *program)?.load(chosen.target, btf(&mut self.btf)?)?,
            Kind::Exit => <&mut FExit>::try_from(&mut *program)?.load(chosen.target, btf(&mut self.btf)?)?,
        }
        Ok(program.fd()?.try_clone()?)
    }
}

fn btf(cell: &mut Option<Btf>) -> Result<&Btf, ProgramError> {
    if cell.is_none() {
        *cell = Some(Btf::from_sys_fs()?);
    }
    cell.as_ref().ok_or_else(|| ProgramError::IOError(std::io::Error::other("no BTF")))
}

/// Compares the layout hash in the ELF's read-only data with ours.
fn check_abi() -> Result<(), AttachError> {
    let found = abi_of(ELF).unwrap_or(0);
    if found == ABI { Ok(()) } else { Err(AttachError::Abi { found }) }
}

/// `BPF_JMP | BPF_CALL`, and `BPF_PSEUDO_KFUNC_CALL`, a source register.
const CALL: u8 = 0x85;
const KFUNC: u8 = 2;

/// The ELF with calls of a function of the kernel, by its number in the kernel's BTF (5.13), in place of those of a helper
/// that there is not. aya has no way to name one.
fn naming(elf: &[u8], helper: u32, function: u32) -> Vec<u8> {
    use object::{Object, ObjectSection, SectionKind};
    let mut named = elf.to_vec();
    let Ok(file) = object::File::parse(elf) else { return named };
    let [a, b, c, d] = helper.to_le_bytes();
    for section in file.sections().filter(|section| section.kind() == SectionKind::Text) {
        let (start, length) = section.file_range().unwrap_or_default();
        let programs = named.get_mut(start as usize..(start + length) as usize).unwrap_or_default();
        for instruction in programs.chunks_exact_mut(8).filter(|bytes| **bytes == [CALL, 0, 0, 0, a, b, c, d]) {
            instruction[1] = KFUNC << 4;
            instruction[4..].copy_from_slice(&function.to_le_bytes());
        }
    }
    named
}

fn abi_of(elf: &[u8]) -> Option<u64> {
    use object::{Object, ObjectSection, ObjectSymbol};
    let file = object::File::parse(elf).ok()?;
    let symbol = file.symbol_by_name("DUMPTRAIL_ABI")?;
    let section = file.section_by_index(symbol.section_index()?).ok()?;
    let at = usize::try_from(symbol.address()).ok()?;
    let bytes = section.data().ok()?.get(at..at + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

impl Attachable {
    fn new(chosen: Chosen, fd: ProgramFd) -> Self {
        let tracepoint = (chosen.hook.kind == Kind::Tracepoint).then(|| CString::new(chosen.target).ok()).flatten();
        Self { chosen, tracepoint, fd, link: None }
    }

    fn attach(&mut self) -> Result<(), AttachError> {
        if self.link.is_none() {
            let link = sys::attach_program(self.fd.as_fd(), self.tracepoint.as_deref());
            let (program, target) = (self.chosen.hook.program, self.chosen.target);
            self.link = Some(link.map_err(|source| AttachError::Attach { program, target, source })?);
        }
        Ok(())
    }
}

impl Group {
    /// True when there is no program in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Attaches all that are not, in the order of the plan.
    pub fn attach(&mut self) -> Result<(), AttachError> {
        self.0.iter_mut().try_for_each(Attachable::attach)
    }

    /// Detaches all.
    pub fn detach(&mut self) {
        self.0.iter_mut().for_each(|a| a.link = None);
    }

    /// Detaches those of one set.
    pub fn detach_set(&mut self, set: Set) {
        self.0.iter_mut().filter(|a| a.chosen.set == set).for_each(|a| a.link = None);
    }

    /// True when a program of this name is in it.
    pub fn has(&self, program: &str) -> bool {
        self.0.iter().any(|a| a.chosen.hook.program == program)
    }
}

impl Loaded {
    /// Attaches all flow hooks, and says how long that took: tracepoints, then functions.
    pub fn attach_flow(&mut self) -> Result<[Duration; 2], AttachError> {
        let start = Instant::now();
        self.quick.attach()?;
        let quick = start.elapsed();
        self.slow.attach()?;
        Ok([quick, start.elapsed().saturating_sub(quick)])
    }

    /// Names and verified instruction counts, for `doctor` and the matrix.
    pub fn costs(&self, plan: &Plan) -> Vec<(&'static str, Option<u32>)> {
        let count =
            |name: &str| self.ebpf.program(name).and_then(|p: &Program| p.info().ok())?.verified_instruction_count();
        plan.hooks.iter().map(|chosen| (chosen.hook.program, count(chosen.hook.program))).collect()
    }
}
