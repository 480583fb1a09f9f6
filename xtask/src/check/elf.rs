//! Refuses an ELF that old kernels would refuse.
//!
//! Before 5.12 the only atomic of the BPF instruction set is addition that returns nothing (XADD). LLVM emits the newer
//! ones (fetch-and-add, exchange, compare-and-exchange, and/or/xor) for innocent source, and the verifier of such a
//! kernel then rejects the whole program. So the compiled instructions are looked at, not the source.

use std::env;
use std::fmt;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionIndex, elf};

use super::{Args, cargo};
use crate::cmd;
use crate::stage::Outcome;
use crate::toolchain::{TARGET, Toolchain, target_dir};

mod stack;

/// `BPF_STX | BPF_ATOMIC` on words and double words.
const ATOMIC: [u8; 2] = [0xc3, 0xdb];
/// `BPF_LD | BPF_IMM | BPF_DW`: the one instruction of two slots.
const LOAD_64: u8 = 0x18;
const SLOT: usize = 8;

pub(super) fn run(_: &Args) -> Result<Outcome> {
    let path = built()?;
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let wrong = wrong(&bytes).with_context(|| format!("cannot parse {}", path.display()))?;
    if wrong.is_empty() {
        return Ok(Outcome::Passed);
    }
    bail!("{} holds what 5.10 refuses:\n{}", path.display(), wrong.join("\n"))
}

/// Atomics, and chains of calls that need too much stack; a line each.
fn wrong(bytes: &[u8]) -> object::Result<Vec<String>> {
    let file = object::File::parse(bytes)?;
    let atomics = atomics(&file)?.into_iter().map(|atomic| format!("an atomic of 5.12: {atomic}"));
    Ok(atomics.chain(stack::deep(&file)?.iter().map(ToString::to_string)).collect())
}

fn built() -> Result<PathBuf> {
    if let Some(elf) = env::var_os("DUMPTRAIL_EBPF") {
        return Ok(elf.into());
    }
    let toolchain = Toolchain::find(cmd::root())?;
    let mut build = toolchain.child(cmd::root(), &cargo());
    cmd::quiet("elf", build.args(["build", "--quiet"]).args(toolchain.arguments()))?;
    Ok(target_dir(cmd::root()).join("ebpf").join(TARGET).join("release/sensor-ebpf"))
}

/// An atomic other than XADD.
#[derive(Debug, PartialEq, Eq)]
struct Atomic {
    section: String,
    function: String,
    offset: usize,
    operation: i32,
}

impl fmt::Display for Atomic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { section, function, offset, operation } = self;
        write!(f, "{section}: {function}: {} at {offset:#x}", name(*operation))
    }
}

fn name(operation: i32) -> String {
    let fetch = if operation & 1 == 1 { "fetch-and-" } else { "atomic " };
    match operation & !1 {
        0x00 => format!("{fetch}add"),
        0x40 => format!("{fetch}or"),
        0x50 => format!("{fetch}and"),
        0xa0 => format!("{fetch}xor"),
        0xe0 => "exchange".to_owned(),
        0xf0 => "compare-and-exchange".to_owned(),
        _ => format!("atomic {operation:#x}"),
    }
}

fn atomics(file: &object::File<'_>) -> object::Result<Vec<Atomic>> {
    let mut found = Vec::new();
    for section in file.sections().filter(|section| executable(section.flags())) {
        for (offset, operation) in scan(section.data()?) {
            let function = function(file, section.index(), offset as u64);
            found.push(Atomic { section: section.name()?.to_owned(), function, offset, operation });
        }
    }
    Ok(found)
}

fn executable(flags: SectionFlags) -> bool {
    matches!(flags, SectionFlags::Elf { sh_flags, .. } if sh_flags.contains(elf::SHF_EXECINSTR))
}

/// The function that an offset of a section lies in.
fn function(file: &object::File<'_>, section: SectionIndex, offset: u64) -> String {
    let inside = |symbol: &object::Symbol<'_, '_>| {
        symbol.section_index() == Some(section)
            && symbol.size() > 0
            && (symbol.address()..symbol.address() + symbol.size()).contains(&offset)
    };
    file.symbols().find(inside).and_then(|symbol| symbol.name().ok()).unwrap_or("?").to_owned()
}

/// Offset and operation of each atomic of `code` that is not XADD.
fn scan(code: &[u8]) -> Vec<(usize, i32)> {
    let operations = instructions(code).map(|(offset, slot)| (offset, slot[0], operand(slot)));
    let newer = operations.filter(|(_, code, operation)| ATOMIC.contains(code) && *operation != 0);
    newer.map(|(offset, _, operation)| (offset, operation)).collect()
}

/// The instructions of `code`, each with its offset; of one of two slots the first.
fn instructions(code: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let offset = next;
        let slot = code.get(offset..offset + SLOT)?;
        next += if slot[0] == LOAD_64 { 2 * SLOT } else { SLOT };
        Some((offset, slot))
    })
}

/// The last word of an instruction.
fn operand(slot: &[u8]) -> i32 {
    i32::from_le_bytes([slot[4], slot[5], slot[6], slot[7]])
}

#[cfg(test)]
mod tests {
    use super::*;

    const XADD: [u8; 8] = [0xdb, 0x10, 0, 0, 0, 0, 0, 0];
    const FETCH_ADD_32: [u8; 8] = [0xc3, 0x10, 0, 0, 1, 0, 0, 0];
    const COMPARE_EXCHANGE: [u8; 8] = [0xdb, 0x10, 0, 0, 0xf1, 0, 0, 0];

    #[test]
    fn plain_addition_passes() {
        assert_eq!(scan(&[XADD, XADD].concat()), [(0, 0); 0]);
    }

    #[test]
    fn every_newer_atomic_is_found_where_it_is() {
        let code = [XADD, FETCH_ADD_32, XADD, COMPARE_EXCHANGE].concat();
        assert_eq!(scan(&code), [(8, 1), (24, 0xf1)]);
        assert_eq!([name(1), name(0xf1), name(0x40)], ["fetch-and-add", "compare-and-exchange", "atomic or"]);
    }

    #[test]
    fn the_second_half_of_a_constant_is_no_instruction() {
        let load = [LOAD_64, 1, 0, 0, 0, 0, 0, 0];
        assert_eq!(scan(&[load, COMPARE_EXCHANGE, XADD].concat()), [(0, 0); 0]);
        assert_eq!(scan(&[load, XADD, COMPARE_EXCHANGE].concat()), [(16, 0xf1)]);
    }

    #[test]
    fn a_host_program_has_sections_and_functions() {
        let own = fs::read(env::current_exe().unwrap()).unwrap();
        let file = object::File::parse(own.as_slice()).unwrap();
        let text = file.section_by_name(".text").unwrap();
        assert!(executable(text.flags()));
        assert!(!executable(file.section_by_name(".rodata").unwrap().flags()));
    }
}
