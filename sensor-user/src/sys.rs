//! System calls that no safe crate offers. The only unsafe code of the agent.
#![expect(unsafe_code, reason = "raw system calls; everything else in the crate is safe")]

use std::{
    ffi::CStr,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

const BPF_PROG_TEST_RUN: libc::c_long = 10;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;

/// The part of `union bpf_attr` that `BPF_OBJ_GET_INFO_BY_FD` reads.
#[repr(C)]
struct GetInfo {
    fd: u32,
    len: u32,
    info: u64,
}

/// How often the kernel did not run a program because it was on that CPU already (`recursion_misses`); 0 before 5.12, which
/// does not count. aya keeps the field to itself.
pub fn skipped_runs(program: BorrowedFd<'_>) -> io::Result<u64> {
    // `struct bpf_prog_info` up to that field, which is the last word. What is not filled in stays 0.
    let mut info = [0u64; 27];
    let (fd, len) = (program.as_raw_fd() as u32, size_of_val(&info) as u32);
    let mut attr = GetInfo { fd, len, info: info.as_mut_ptr() as u64 };
    // SAFETY: `attr` is a valid attribute of its size for this command; the kernel writes at most `len` bytes to `info`.
    let result = unsafe { libc::syscall(libc::SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &raw mut attr, size_of::<GetInfo>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(info[26]) }
}

/// Maps the first page of a file for reading, and lets go of it.
pub fn map_page(file: BorrowedFd<'_>) -> io::Result<()> {
    const PAGE: usize = 4096;
    // SAFETY: a new mapping, where nothing is mapped; nobody looks into it.
    let page =
        unsafe { libc::mmap(std::ptr::null_mut(), PAGE, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0) };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping that was made above.
    unsafe { libc::munmap(page, PAGE) };
    Ok(())
}

const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_PROG_TYPE_RAW_TRACEPOINT: u32 = 17;

/// The part of `union bpf_attr` that `BPF_PROG_LOAD` reads (include/uapi/linux/bpf.h, 5.10).
#[repr(C)]
#[derive(Default)]
struct LoadProgram {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    version: u32,
    flags: u32,
}

/// Whether the verifier takes these instructions as a program for a raw tracepoint.
pub fn is_taken(instructions: &[u64]) -> bool {
    let (count, license) = (instructions.len() as u32, c"Dual MIT/GPL".as_ptr() as u64);
    let kind = BPF_PROG_TYPE_RAW_TRACEPOINT;
    let instructions = instructions.as_ptr() as u64;
    let mut attr = LoadProgram { kind, count, instructions, license, ..LoadProgram::default() };
    // SAFETY: `attr` is a valid attribute of its size for this command, and what it points to outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw mut attr, size_of::<LoadProgram>()) };
    if fd >= 0 {
        // SAFETY: a new descriptor that nobody else has. The program is not needed.
        drop(unsafe { OwnedFd::from_raw_fd(fd as RawFd) });
    }
    fd >= 0
}

const BPF_RAW_TRACEPOINT_OPEN: libc::c_long = 17;

/// The part of `union bpf_attr` that `BPF_RAW_TRACEPOINT_OPEN` reads.
#[repr(C)]
struct OpenTracepoint {
    name: u64,
    program: u32,
    reserved: u32,
}

/// Attaches a loaded program: to a raw tracepoint, or without one to the function that it was loaded for. It stays there
/// until the link is closed. aya ties links to its own handle of the program, which one thread at a time may have.
pub fn attach_program(program: BorrowedFd<'_>, tracepoint: Option<&CStr>) -> io::Result<OwnedFd> {
    let name = tracepoint.map_or(0, |name| name.as_ptr() as u64);
    let mut attr = OpenTracepoint { name, program: program.as_raw_fd() as u32, reserved: 0 };
    let size = size_of::<OpenTracepoint>();
    // SAFETY: `attr` is a valid attribute of its size for this command, and the name is a string that outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &raw mut attr, size) };
    // SAFETY: a new descriptor that nobody else has.
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }) }
}

/// The part of `union bpf_attr` that `BPF_PROG_TEST_RUN` reads (include/uapi/linux/bpf.h, 5.10).
#[repr(C)]
#[derive(Default)]
struct TestRun {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
}

/// Runs a raw tracepoint program once, here and now, with these arguments; aya has no call for it. Of a program on a
/// function the kernel calls functions of its own that are there for this.
pub fn run_program(program: BorrowedFd<'_>, arguments: &[u64]) -> io::Result<u32> {
    let mut attr = TestRun {
        prog_fd: program.as_raw_fd() as u32,
        ctx_size_in: size_of_val(arguments) as u32,
        // Without a size the kernel wants no address.
        ctx_in: if arguments.is_empty() { 0 } else { arguments.as_ptr() as u64 },
        ..TestRun::default()
    };
    // SAFETY: `attr` is a valid attribute of its size for this command; the kernel reads `arguments` and writes `attr`.
    let result = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_TEST_RUN, &raw mut attr, size_of::<TestRun>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(attr.retval) }
}

/// The current thread runs before all others of the usual class, for as long as it wants; needs CAP_SYS_NICE.
pub fn run_first() -> io::Result<()> {
    let lowest = libc::sched_param { sched_priority: 1 };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: `lowest` outlives the call; 0 is this thread.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const lowest) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Few arenas: the agent has a dozen threads that allocate little, and each arena keeps what it once needed.
pub fn few_arenas() {
    // SAFETY: only sets a number inside malloc; called before other threads exist.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 2) };
}

/// Gives memory back that was needed once: the kernel's BTF and the verifier's room are some 20 MiB.
pub fn trim() {
    // SAFETY: no preconditions.
    unsafe { libc::malloc_trim(0) };
}

/// A fanotify group that reports file handles.
pub struct Fanotify(OwnedFd);

/// What a fanotify event reports: bits of `FAN_*`, the actor's pid, file system id and file handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameEvent {
    /// `FAN_*` bits.
    pub mask: u64,
    /// Process that did it.
    pub pid: u32,
    /// File system id and handle: names the inode.
    pub handle: Handle,
    /// Events were lost before this one.
    pub overflow: bool,
}

/// File system id and file handle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Handle(pub Vec<u8>);

/// Events that a dump's inode is watched for.
pub const NAME_EVENTS: u64 = libc::FAN_MOVE_SELF | libc::FAN_DELETE_SELF | libc::FAN_ATTRIB | libc::FAN_MODIFY;

impl Fanotify {
    /// Opens a group that only notifies: it can never block anyone. Without CAP_SYS_ADMIN its marks are limited
    /// (`fs.fanotify.max_user_marks`) and its events name no process.
    pub fn open() -> io::Result<Self> {
        Self::with(libc::FAN_UNLIMITED_MARKS).or_else(|_| Self::with(0))
    }

    fn with(more: libc::c_uint) -> io::Result<Self> {
        let flags = libc::FAN_CLASS_NOTIF | libc::FAN_REPORT_FID | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK | more;
        // SAFETY: no pointers.
        let fd = unsafe { libc::fanotify_init(flags, libc::O_RDONLY as u32) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nobody else owns.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Watches the inode behind a descriptor.
    pub fn watch(&self, file: BorrowedFd<'_>) -> io::Result<()> {
        self.mark(libc::FAN_MARK_ADD, file)
    }

    /// Watches it no longer.
    pub fn forget(&self, file: BorrowedFd<'_>) -> io::Result<()> {
        self.mark(libc::FAN_MARK_REMOVE, file)
    }

    fn mark(&self, what: u32, file: BorrowedFd<'_>) -> io::Result<()> {
        let path = std::ffi::CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        // SAFETY: the path is a C string that lives through the call.
        let result =
            unsafe { libc::fanotify_mark(self.0.as_raw_fd(), what, NAME_EVENTS, libc::AT_FDCWD, path.as_ptr()) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Takes the events that are there.
    pub fn read(&self) -> Vec<NameEvent> {
        let mut buffer = vec![0u8; 64 * 1024];
        let mut events = Vec::new();
        while let Ok(n) = rustix::io::read(&self.0, &mut buffer) {
            if n == 0 {
                break;
            }
            parse_events(&buffer[..n], &mut events);
        }
        events
    }
}

impl AsFd for Fanotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// `struct fanotify_event_metadata` (24 bytes), then info records; of these the one with the file handle is kept.
fn parse_events(mut bytes: &[u8], events: &mut Vec<NameEvent>) {
    while bytes.len() >= 24 {
        let len = u32_at(bytes, 0) as usize;
        if len < 24 || len > bytes.len() {
            return;
        }
        let mask = u64::from(u32_at(bytes, 8)) | u64::from(u32_at(bytes, 12)) << 32;
        let head = usize::from(u16::from_ne_bytes([bytes[6], bytes[7]])).clamp(24, len);
        events.push(NameEvent {
            mask,
            pid: u32_at(bytes, 20),
            handle: handle_of(&bytes[head..len]).unwrap_or_default(),
            overflow: mask & libc::FAN_Q_OVERFLOW != 0,
        });
        bytes = &bytes[len..];
    }
}

/// `struct fanotify_event_info_fid`: type 1, pad 1, length 2, fsid 8, then `struct file_handle` (length, type, bytes).
fn handle_of(mut info: &[u8]) -> Option<Handle> {
    while info.len() >= 20 {
        let (kind, len) = (info[0], usize::from(u16::from_ne_bytes([info[2], info[3]])));
        if len < 20 || len > info.len() {
            return None;
        }
        if kind == libc::FAN_EVENT_INFO_TYPE_FID {
            let bytes = u32_at(info, 12) as usize;
            return Some(Handle(info.get(4..20 + bytes)?.to_vec()));
        }
        info = &info[len..];
    }
    None
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_ne_bytes([b[0], b[1], b[2], b[3]]))
}

/// Opens a file for reading by its inode number and generation, wherever it is now. `place` is any open file of the same
/// file system. Where handles are of another kind than ext4's and xfs's it is an error (`FILEID_INO32_GEN`, and its 64-bit
/// form: include/linux/exportfs.h, fs/xfs/xfs_export.h, 5.10 to 7.2).
pub fn open_by_number(place: BorrowedFd<'_>, number: u64, generation: u32) -> io::Result<std::fs::File> {
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
    open_raw(place, numbered(place, number, generation)?, flags).map(Into::into)
}

/// The same without access. `ESTALE` when nobody has it any more.
pub fn look_by_number(place: BorrowedFd<'_>, number: u64, generation: u32) -> io::Result<OwnedFd> {
    open_raw(place, numbered(place, number, generation)?, libc::O_PATH)
}

/// A `struct file_handle` of the kind that the file system of `place` has.
fn numbered(place: BorrowedFd<'_>, number: u64, generation: u32) -> io::Result<Vec<u8>> {
    const INO32: u32 = 1;
    const INO64: u32 = 0x81;
    let Handle(mut raw) = handle(place)?;
    let raw = raw.split_off(8);
    let (len, kind) = (u32_at(&raw, 0), u32_at(&raw, 4));
    let named = match (kind, len) {
        (INO32, 8) => [(number as u32).to_ne_bytes(), generation.to_ne_bytes()].concat(),
        (INO64, 12) => [&number.to_ne_bytes()[..], &generation.to_ne_bytes()].concat(),
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    Ok([&raw[..8], &named].concat())
}

/// Opens a file by its handle, without access: only what it is and where. `place` is any open file of the same file system.
/// `ESTALE` when nobody has it any more.
pub fn open_handle(place: BorrowedFd<'_>, handle: &Handle) -> io::Result<OwnedFd> {
    // The file system's number comes first.
    let raw = handle.0.get(8..).ok_or(io::ErrorKind::InvalidInput)?;
    open_raw(place, raw.to_vec(), libc::O_PATH)
}

/// `raw` is a `struct file_handle`.
fn open_raw(place: BorrowedFd<'_>, mut raw: Vec<u8>, flags: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: `raw` is as long as it says.
    let fd = unsafe { libc::open_by_handle_at(place.as_raw_fd(), raw.as_mut_ptr().cast(), flags | libc::O_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Opens a file without asking its file system: neither a read nor a wait can come of it.
pub fn look_at(path: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty())?)
}

/// The handle that events about this file will carry.
pub fn handle(file: BorrowedFd<'_>) -> io::Result<Handle> {
    const ROOM: usize = 128;
    let mut raw = [0u8; 8 + ROOM];
    raw[..4].copy_from_slice(&(ROOM as u32).to_ne_bytes());
    let mut mount = 0;
    // SAFETY: `raw` is a `struct file_handle` with room for ROOM bytes; the path is an empty C string.
    let result = unsafe {
        libc::name_to_handle_at(
            file.as_raw_fd(),
            c"".as_ptr(),
            raw.as_mut_ptr().cast(),
            &raw mut mount,
            libc::AT_EMPTY_PATH,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut stat = std::mem::MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: `stat` has room for the result.
    if unsafe { libc::fstatfs(file.as_raw_fd(), stat.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above filled it; `fsid_t` is two ints without padding.
    let fsid: [u8; 8] = unsafe { std::mem::transmute(stat.assume_init().f_fsid) };
    let bytes = (u32_at(&raw, 0) as usize).min(ROOM);
    let mut out = fsid.to_vec();
    out.extend(&raw[..8 + bytes]);
    Ok(Handle(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rename_is_told_with_the_handle_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let file = std::fs::File::create(&path).unwrap();
        let group = Fanotify::open().unwrap();
        group.watch(file.as_fd()).unwrap();
        std::fs::rename(&path, dir.path().join("b")).unwrap();
        let events = group.read();
        let expected = handle(file.as_fd()).unwrap();
        assert!(
            events.iter().any(|e| e.mask & libc::FAN_MOVE_SELF != 0 && e.handle == expected),
            "{events:?} {expected:?}"
        );
    }

    #[test]
    fn a_renamed_file_is_opened_by_its_number() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "text").unwrap();
        let file = std::fs::File::open(&path).unwrap();
        let Handle(raw) = handle(file.as_fd()).unwrap();
        let generation = u32_at(&raw, raw.len() - 4);
        let number = std::os::unix::fs::MetadataExt::ino(&file.metadata().unwrap());
        std::fs::rename(&path, dir.path().join("b")).unwrap();
        let place = std::fs::File::open(dir.path()).unwrap();
        match open_by_number(place.as_fd(), number, generation) {
            Ok(opened) => assert_eq!(std::io::read_to_string(opened).unwrap(), "text"),
            // Other file systems have other handles.
            Err(error) => {
                assert!(error.kind() == io::ErrorKind::Unsupported && !matches!(raw[12], 1 | 0x81), "{error}");
            }
        }
        assert!(open_by_number(place.as_fd(), number, generation.wrapping_add(1)).is_err());
    }

    #[test]
    fn cut_events_are_no_events() {
        let mut events = Vec::new();
        for len in 0..64 {
            parse_events(&vec![0xff; len], &mut events);
        }
        assert!(events.is_empty());
    }
}
