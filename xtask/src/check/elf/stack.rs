//! The stack of a chain of calls. The verifier adds up the frames of a program and of what it calls, each rounded up to
//! 32 bytes, and refuses more than 512 (`check_max_stack_depth`, 5.10; later kernels round less). Only the oldest kernel
//! says so, and only when a program is loaded there.

use std::collections::BTreeMap;
use std::fmt;

use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget, SymbolKind};

use super::{SLOT, executable, instructions, operand};

const MOST: u64 = 512;
const ROUNDED_TO: u64 = 32;

const FRAME_POINTER: u8 = 10;
/// Classes of instructions that read and write memory.
const LOAD: u8 = 1;
const STORES: [u8; 2] = [2, 3];
/// `BPF_ALU64 | BPF_MOV | BPF_X` and `BPF_ALU64 | BPF_ADD | BPF_K`.
const MOVE: u8 = 0xbf;
const ADD: u8 = 0x07;
/// `BPF_JMP | BPF_CALL`, and the source register of one to another function.
const CALL: u8 = 0x85;
const PSEUDO_CALL: u8 = 1;

/// A function is named by its section's number and where it begins there.
type Place = (usize, u64);

struct Function {
    name: String,
    frame: u64,
    calls: Vec<Place>,
}

/// A program whose deepest chain of calls needs more than there is.
pub(super) struct Deep {
    bytes: u64,
    /// The functions of the chain, with their frames.
    chain: Vec<(String, u64)>,
}

impl fmt::Display for Deep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chain: Vec<String> = self.chain.iter().map(|(name, frame)| format!("{name} ({frame})")).collect();
        write!(f, "{} bytes of stack, of {MOST}: {}", self.bytes, chain.join(", "))
    }
}

/// All programs that need too much.
pub(super) fn deep(file: &object::File<'_>) -> object::Result<Vec<Deep>> {
    let functions = functions(file)?;
    let text = file.section_by_name(".text").map(|section| section.index().0);
    let programs = functions.keys().filter(|(section, _)| Some(*section) != text);
    Ok(programs.map(|place| deepest(&functions, *place)).filter(|deep| deep.bytes > MOST).collect())
}

fn functions(file: &object::File<'_>) -> object::Result<BTreeMap<Place, Function>> {
    let mut functions = BTreeMap::new();
    for section in file.sections().filter(|section| executable(section.flags())) {
        let (index, code) = (section.index(), section.data()?);
        let targets: BTreeMap<u64, RelocationTarget> = section.relocations().map(|(at, r)| (at, r.target())).collect();
        let here = |s: &object::Symbol<'_, '_>| s.section_index() == Some(index) && s.kind() == SymbolKind::Text;
        for symbol in file.symbols().filter(|symbol| here(symbol) && symbol.size() > 0) {
            let (start, end) = (symbol.address(), symbol.address() + symbol.size());
            let Some(body) = code.get(start as usize..end as usize) else { continue };
            let (frame, offsets) = look(body);
            let calls = offsets.into_iter().filter_map(|(at, imm)| {
                let at = start + at;
                match targets.get(&at) {
                    None => Some((index.0, at.wrapping_add_signed((imm + 1) * SLOT as i64))),
                    Some(RelocationTarget::Symbol(symbol)) => called(file, *symbol, imm),
                    Some(_) => None,
                }
            });
            let name = symbol.name().unwrap_or("?").to_owned();
            functions.insert((index.0, start), Function { name, frame, calls: calls.collect() });
        }
    }
    Ok(functions)
}

/// A section's symbol is followed by the offset in it, in instructions, less one.
fn called(file: &object::File<'_>, symbol: object::SymbolIndex, imm: i64) -> Option<Place> {
    let symbol = file.symbol_by_index(symbol).ok()?;
    let at = if symbol.kind() == SymbolKind::Section { ((imm + 1) * SLOT as i64) as u64 } else { symbol.address() };
    Some((symbol.section_index()?.0, at))
}

/// The frame of a function, and the calls in it: offset and operand.
fn look(code: &[u8]) -> (u64, Vec<(u64, i64)>) {
    let (mut lowest, mut calls) = (0i64, Vec::new());
    // Registers that hold the frame pointer itself.
    let mut holds = [false; 16];
    for (offset, slot) in instructions(code) {
        let (op, to, from) = (slot[0], slot[1] & 15, slot[1] >> 4);
        let displacement = i64::from(i16::from_le_bytes([slot[2], slot[3]]));
        let operand = i64::from(operand(slot));
        let base = if op & 7 == LOAD { from } else { to };
        if base == FRAME_POINTER && (op & 7 == LOAD || STORES.contains(&(op & 7))) {
            lowest = lowest.min(displacement);
        }
        if op == MOVE {
            holds[usize::from(to)] = from == FRAME_POINTER;
        } else if op == ADD && std::mem::take(&mut holds[usize::from(to)]) {
            lowest = lowest.min(operand);
        } else if op == CALL && from == PSEUDO_CALL {
            calls.push((offset as u64, operand));
        }
    }
    (lowest.unsigned_abs(), calls)
}

/// The deepest chain that begins with a function. The verifier allows no recursion, and at most eight frames.
fn deepest(functions: &BTreeMap<Place, Function>, place: Place) -> Deep {
    let Some(function) = functions.get(&place) else { return Deep { bytes: 0, chain: Vec::new() } };
    let below = function.calls.iter().map(|callee| deepest(functions, *callee)).max_by_key(|deep| deep.bytes);
    let below = below.unwrap_or(Deep { bytes: 0, chain: Vec::new() });
    let bytes = function.frame.max(1).next_multiple_of(ROUNDED_TO) + below.bytes;
    let chain = std::iter::once((function.name.clone(), function.frame)).chain(below.chain).collect();
    Deep { bytes, chain }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: usize = 1;

    fn instruction(op: u8, registers: u8, displacement: i16, operand: i32) -> Vec<u8> {
        [&[op, registers][..], &displacement.to_le_bytes(), &operand.to_le_bytes()].concat()
    }

    #[test]
    fn a_frame_is_as_deep_as_its_lowest_access() {
        let store = instruction(0x7b, 0x1a, -24, 0);
        let load = instruction(0x79, 0xa1, -40, 0);
        let address = [instruction(MOVE, 0xa2, 0, 0), instruction(ADD, 2, 0, -200)].concat();
        let number = instruction(ADD, 2, 0, -4000);
        assert_eq!(look(&store), (24, vec![]));
        assert_eq!(look(&[store, load].concat()).0, 40);
        assert_eq!(look(&[address, number].concat()).0, 200);
        assert_eq!(look(&instruction(CALL, 0x10, 0, 7)), (0, vec![(0, 7)]));
    }

    #[test]
    fn frames_of_a_chain_add_up_each_rounded() {
        let function = |name: &str, frame, calls: &[u64]| Function {
            name: name.to_owned(),
            frame,
            calls: calls.iter().map(|at| (INDEX, *at)).collect(),
        };
        let functions = [(0, function("a", 240, &[8, 16])), (8, function("b", 4, &[])), (16, function("c", 97, &[8]))];
        let functions = functions.map(|(at, f)| ((INDEX, at), f)).into();
        let deep = deepest(&functions, (INDEX, 0));
        assert_eq!(deep.bytes, 256 + 128 + 32);
        assert_eq!(deep.to_string(), "416 bytes of stack, of 512: a (240), c (97), b (4)");
    }
}
