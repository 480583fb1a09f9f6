//! The one executor: loads what the plan says, attaches it, and hands out the maps.

use std::collections::BTreeMap;

use aya::{
    Ebpf, EbpfLoader,
    programs::{
        RawTracePoint,
        raw_trace_point::{RawTracePointLink, RawTracePointLinkId},
    },
};
use sensor_abi::{ABI, settings::Settings};
use thiserror::Error;

use super::{
    features::Features,
    plan::{Hook, Plan, Set},
};

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

/// The ELF, built by build.rs.
static ELF: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sensor-ebpf"));

/// Loaded programs and maps.
pub struct Loaded {
    /// aya's handle: maps are taken from it.
    pub ebpf: Ebpf,
    hooks: Vec<&'static Hook>,
    links: BTreeMap<&'static str, RawTracePointLink>,
}

/// What this process tells the programs; with `argv` records may carry command lines.
pub fn settings(features: &Features, argv: bool) -> Settings {
    Settings {
        agent_tgid: std::process::id(),
        task_btf: u32::from(features.task_btf),
        task_regs: u32::from(features.task_regs),
        argv: u32::from(argv),
        inode_gone: features.inode_gone,
    }
}

/// Loads all programs of the plan and attaches the watch hooks.
pub fn load(features: &Features, plan: &Plan, settings: Settings) -> Result<Loaded, AttachError> {
    let offsets = features.offsets.ok_or(AttachError::NoOffsets)?;
    let mut loader = EbpfLoader::new();
    loader.override_global("OFFSETS", &offsets, true).override_global("SETTINGS", &settings, true);
    let mut ebpf = loader.load(ELF)?;
    check_abi()?;
    for hook in &plan.hooks {
        program(&mut ebpf, hook.program)?
            .load()
            .map_err(|source| AttachError::Program { program: hook.program, source })?;
    }
    let mut attached = Loaded { ebpf, hooks: plan.hooks.clone(), links: BTreeMap::new() };
    attached.attach(Set::Watch)?;
    Ok(attached)
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut RawTracePoint, AttachError> {
    let program = ebpf.program_mut(name).ok_or(AttachError::NoProgram(name))?;
    program.try_into().map_err(|source| AttachError::Program { program: name, source })
}

/// Compares the layout hash in the ELF's read-only data with ours.
fn check_abi() -> Result<(), AttachError> {
    let found = abi_of(ELF).unwrap_or(0);
    if found == ABI { Ok(()) } else { Err(AttachError::Abi { found }) }
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

impl Loaded {
    /// Attaches all programs of a set, in the order of the plan.
    pub fn attach(&mut self, set: Set) -> Result<(), AttachError> {
        for hook in self.hooks.iter().filter(|h| h.set == set) {
            let wrong = |source| AttachError::Program { program: hook.program, source };
            let program = program(&mut self.ebpf, hook.program)?;
            let id: RawTracePointLinkId = program.attach(hook.tracepoint).map_err(wrong)?;
            self.links.insert(hook.program, program.take_link(id).map_err(wrong)?);
        }
        Ok(())
    }

    /// Detaches all programs of a set.
    pub fn detach(&mut self, set: Set) {
        for hook in self.hooks.iter().filter(|h| h.set == set) {
            self.links.remove(hook.program);
        }
    }

    /// Names and verified instruction counts, for `doctor` and the matrix.
    pub fn costs(&mut self) -> Vec<(&'static str, Option<u32>)> {
        let hooks = self.hooks.clone();
        hooks
            .iter()
            .map(|hook| {
                let info = program(&mut self.ebpf, hook.program).ok().and_then(|p| p.info().ok());
                (hook.program, info.and_then(|i| i.verified_instruction_count()))
            })
            .collect()
    }
}
