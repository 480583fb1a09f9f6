//! Empty BPF programs, on a kernel function or at system calls: what a hook costs that does nothing. The system calls as
//! they are, since nothing but `std` is at hand.

use std::ffi::{CStr, CString};
use std::fs;
use std::io::{self, Error, ErrorKind};
use std::os::fd::{FromRawFd, OwnedFd};

unsafe extern "C" {
    fn syscall(number: i64, ...) -> i64;
}

const BPF: i64 = 321;
const PERF_EVENT_OPEN: i64 = 298;
const IOCTL: i64 = 16;
const PROG_LOAD: i64 = 5;
const RAW_TRACEPOINT_OPEN: i64 = 17;
const KPROBE: u32 = 2;
const RAW_TRACEPOINT: u32 = 17;
const TRACING: u32 = 26;
const TRACE_FENTRY: u32 = 24;
const SET_BPF: i64 = 0x4004_2408;
const ENABLE: i64 = 0x2400;
/// `r0 = 0; exit`
const PROGRAM: [u64; 2] = [0xb7, 0x95];
const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
const KPROBES: &str = "/sys/bus/event_source/devices/kprobe/type";

/// Attaches one, for as long as this process lives.
pub(crate) fn attach(how: &str, function: &str) -> io::Result<()> {
    if how == "fentry" { on_entry(function) } else { by_kprobe(function) }
}

/// Attaches two, at the entry and at the exit of system calls, until they are dropped.
pub(crate) fn at_system_calls() -> io::Result<[OwnedFd; 2]> {
    Ok([at_tracepoint(c"sys_enter")?, at_tracepoint(c"sys_exit")?])
}

fn at_tracepoint(name: &CStr) -> io::Result<OwnedFd> {
    let program = load(RAW_TRACEPOINT, 0, 0)?;
    let link = link(name.as_ptr() as u64, program)?;
    // SAFETY: both descriptors are new, and nobody else has them.
    let (_program, link) = unsafe { (OwnedFd::from_raw_fd(program as i32), OwnedFd::from_raw_fd(link as i32)) };
    Ok(link)
}

/// Attaches a program to the tracepoint whose name lies at an address, or without one to what it was loaded for.
fn link(name: u64, program: u64) -> io::Result<u64> {
    let attributes: [u64; 2] = [name, program];
    // SAFETY: the kernel reads as many bytes as it is told.
    checked(unsafe { syscall(BPF, RAW_TRACEPOINT_OPEN, attributes.as_ptr(), size_of_val(&attributes)) })
}

fn on_entry(function: &str) -> io::Result<()> {
    let btf = fs::read(VMLINUX)?;
    let id = function_id(&btf, function).ok_or_else(|| Error::new(ErrorKind::NotFound, "no such function"))?;
    link(0, load(TRACING, TRACE_FENTRY, id)?).map(drop)
}

fn by_kprobe(function: &str) -> io::Result<()> {
    let kind: u32 = fs::read_to_string(KPROBES)?.trim().parse().map_err(Error::other)?;
    let (program, name) = (load(KPROBE, 0, 0)?, CString::new(function)?);
    let mut attributes = [0_u64; 14];
    attributes[0] = u64::from(kind) | (size_of_val(&attributes) as u64) << 32;
    attributes[7] = name.as_ptr() as u64;
    // SAFETY: as above; the name outlives the call.
    unsafe {
        let event = checked(syscall(PERF_EVENT_OPEN, attributes.as_ptr(), -1_i64, 0_i64, -1_i64, 8_i64))?;
        checked(syscall(IOCTL, event, SET_BPF, program))?;
        checked(syscall(IOCTL, event, ENABLE, 0_i64)).map(drop)
    }
}

fn load(kind: u32, attach: u32, function: u32) -> io::Result<u64> {
    let mut words = [0_u32; 30];
    let mut long = |at: usize, value: u64| (words[at], words[at + 1]) = (value as u32, (value >> 32) as u32);
    long(2, PROGRAM.as_ptr() as u64);
    long(4, c"GPL".as_ptr() as u64);
    (words[0], words[1], words[17], words[27]) = (kind, PROGRAM.len() as u32, attach, function);
    // SAFETY: as above; what the words point to is static.
    checked(unsafe { syscall(BPF, PROG_LOAD, words.as_ptr(), size_of_val(&words)) })
}

fn checked(result: i64) -> io::Result<u64> {
    u64::try_from(result).map_err(|_| Error::last_os_error())
}

/// The number of a function in the kernel's type information.
fn function_id(btf: &[u8], wanted: &str) -> Option<u32> {
    let word = |at: usize| btf.get(at..at + 4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]]));
    let header = word(4)? as usize;
    let (types, length) = (header + word(8)? as usize, word(12)? as usize);
    let strings = header + word(16)? as usize;
    let (mut at, mut id) = (types, 1);
    while at < types + length {
        let (name, info) = (strings + word(at)? as usize, word(at + 4)?);
        let (kind, members) = (info >> 24 & 31, (info & 0xffff) as usize);
        let named = btf.get(name..)?.strip_prefix(wanted.as_bytes()).is_some_and(|rest| rest.first() == Some(&0));
        if kind == 12 && named {
            return Some(id);
        }
        at += 12
            + match kind {
                1 | 14 | 17 => 4,
                3 => 12,
                4 | 5 | 15 | 19 => 12 * members,
                6 | 13 => 8 * members,
                _ => 0,
            };
        id += 1;
    }
    None
}
