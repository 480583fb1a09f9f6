//! The vocabulary of movement: how bytes moved, and which ends that touches. Pure, so that host tests cover it.

macro_rules! numbered {
    ($(#[$meta:meta])* $enum:ident { $($(#[$doc:meta])* $name:ident = $id:literal $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $enum { $($(#[$doc])* $name = $id,)* }

        impl $enum {
            /// All values, in order of their number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// The value with this number.
            pub const fn from_u8(n: u8) -> Option<Self> { match n { $($id => Some(Self::$name),)* _ => None } }
            /// The name in YAML, NDJSON and OTLP.
            pub const fn name(self) -> &'static str { match self { $(Self::$name => $text,)* } }
        }
    };
}
pub(crate) use numbered;

numbered! {
    /// By which means bytes moved (`step.via`).
    Via {
        /// read(2), write(2) and their families on a regular file.
        File = 0 "file",
        /// A pipe or FIFO.
        Pipe = 1 "pipe",
        /// A unix socket.
        Unix = 2 "unix",
        /// TCP.
        Tcp = 3 "tcp",
        /// UDP.
        Udp = 4 "udp",
        /// sendfile(2): no user buffer.
        Sendfile = 5 "sendfile",
        /// splice(2), tee(2), vmsplice(2).
        Splice = 6 "splice",
        /// copy_file_range(2), FICLONE.
        Copy = 7 "copy_file_range",
        /// mmap(2).
        Mmap = 8 "mmap",
        /// io_uring.
        IoUring = 9 "io_uring",
        /// fork(2), clone(2): the child has the parent's memory.
        Fork = 10 "fork",
        /// execve(2).
        Exec = 11 "exec",
        /// The kernel's core writer.
        Core = 12 "core",
        /// A descriptor handed over.
        Descriptor = 13 "descriptor",
        /// Another process's memory.
        Memory = 14 "memory",
        /// A socket of another family (raw, vsock, packet).
        Socket = 15 "socket",
        /// A device or other special file.
        Device = 16 "device",
        /// The file system's names: rename, link, unlink.
        Name = 17 "name",
        /// Found by looking, not seen moving.
        Scan = 18 "scan",
        /// A System V message queue.
        Queue = 19 "queue",
        /// A terminal: from one end to the other.
        Tty = 20 "tty",
        /// A file system in user space: to its server, or from it.
        Fuse = 21 "fuse",
    }
}

/// Which ends of a system call hold bytes before and after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Move {
    /// Object to task: checked when the bytes have moved (exit, result > 0), so a reader that already blocked is seen.
    Read = 0,
    /// Task to object: marked before the bytes move (entry), so a fast reader at the other end is seen.
    Write = 1,
    /// Object to object, no user buffer: marked at entry, counted at exit; the task is only the actor.
    Transfer = 2,
    /// Object to task, and nothing yet: the task has opened it. Marks nothing.
    Open = 3,
}

impl Move {
    /// True when the object is where bytes come from, or would.
    pub const fn is_from_object(self) -> bool {
        matches!(self, Self::Read | Self::Open)
    }
}

/// No argument of the call is that.
pub const NONE: u8 = 9;

/// How a system call names its destination, or what else its arguments mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Shape {
    /// Only descriptors matter.
    Plain = 0,
    /// Argument 4 is a `struct sockaddr *` or NULL.
    Address = 1,
    /// Argument 1 is a `struct user_msghdr *`.
    Message = 2,
    /// sendmmsg(2), recvmmsg(2): argument 1 is an array of `struct mmsghdr`, argument 2 their number; the result says how
    /// many of them have moved, each has its own bytes.
    Messages = 12,
    /// msgsnd(2), msgrcv(2): argument 0 is a queue, argument 2 the bytes.
    Queue = 13,
    /// mmap(2): argument 1 length, 2 protection, 3 flags, 4 descriptor.
    Map = 3,
    /// open(2) and its kin: the result is a descriptor; argument `source` holds the flags, or points to them.
    Open = 5,
    /// ftruncate(2): argument 0 is the descriptor, argument 1 the length.
    Truncate = 6,
    /// process_vm_readv(2), process_vm_writev(2): argument 0 is a process id as the caller sees it.
    Process = 7,
    /// creat(2): the result is the descriptor of a file that was emptied.
    Create = 8,
    /// shmat(2): argument 0 is the segment, argument 2 the flags.
    Attach = 10,
    /// io_submit(2): argument 1 is the number of requests, argument 2 points to the addresses of as many.
    Submit = 11,
    /// openat2(2): as `Open`, but argument `source` points to the flags.
    Open2 = 9,
    /// ioctl(2): argument 1 is the request; `FICLONE` has the source descriptor in argument 2, `FICLONERANGE` the address
    /// of what names it.
    Clone = 4,
    /// getsockopt(2): `TCP_ZEROCOPY_RECEIVE` of `IPPROTO_TCP` receives into what argument 3 points to.
    Option = 15,
    /// vmsplice(2): argument 0 is a pipe. Who has opened it for reading only takes from it, by the same call.
    Pages = 14,
}

/// The request of ioctl(2) by which a file shares all of another. Requests are ints, whatever the register holds beside.
pub const FICLONE: u32 = 0x4004_9409;
/// The same of a part.
pub const FICLONERANGE: u32 = 0x4020_940d;

/// True for a request of ioctl(2) that clones.
#[inline(always)]
pub const fn is_clone(request: u64) -> bool {
    matches!(request as u32, FICLONE | FICLONERANGE)
}

/// sendmmsg(2).
pub const SENDMMSG: u64 = 307;

/// `O_TRUNC`.
pub const O_TRUNC: u64 = 0o1000;

/// One system call: which argument is the descriptor that bytes come from, and which the one they go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Argument index of the source, or [`NONE`].
    pub source: u8,
    /// Argument index of the sink, or [`NONE`].
    pub sink: u8,
    /// By which means.
    pub via: Via,
    /// What else the arguments mean.
    pub shape: Shape,
}

const fn row(source: u8, sink: u8, via: Via, shape: Shape) -> Row {
    Row { source, sink, via, shape }
}

/// The x86-64 system calls that move bytes; `source` and `sink` both [`NONE`] for all others.
#[inline(always)]
#[rustfmt::skip]
pub const fn syscall(nr: u64) -> Row {
    match nr {
        // read pread64 readv preadv preadv2; recvfrom recvmsg; mq_timedreceive
        0 | 17 | 19 | 295 | 327 | 45 | 47 | 243 => row(0, NONE, Via::File, Shape::Plain),
        // write pwrite64 writev pwritev pwritev2; mq_timedsend
        1 | 18 | 20 | 296 | 328 | 242 => row(NONE, 0, Via::File, Shape::Plain),
        44 => row(NONE, 0, Via::File, Shape::Address),       // sendto
        46 => row(NONE, 0, Via::File, Shape::Message),       // sendmsg
        307 => row(NONE, 0, Via::File, Shape::Messages),     // sendmmsg
        299 => row(0, NONE, Via::File, Shape::Messages),     // recvmmsg
        55 => row(0, NONE, Via::File, Shape::Option),        // getsockopt
        69 => row(NONE, 0, Via::Queue, Shape::Queue),        // msgsnd
        70 => row(0, NONE, Via::Queue, Shape::Queue),        // msgrcv
        40 => row(1, 0, Via::Sendfile, Shape::Plain),        // sendfile
        275 => row(0, 2, Via::Splice, Shape::Plain),         // splice
        276 => row(0, 1, Via::Splice, Shape::Plain),         // tee
        278 => row(NONE, 0, Via::Splice, Shape::Pages),      // vmsplice
        326 => row(0, 2, Via::Copy, Shape::Plain),           // copy_file_range
        9 => row(4, NONE, Via::Mmap, Shape::Map),            // mmap
        16 => row(2, 0, Via::Copy, Shape::Clone),            // ioctl
        2 => row(1, NONE, Via::Name, Shape::Open),           // open
        257 => row(2, NONE, Via::Name, Shape::Open),         // openat
        85 => row(1, NONE, Via::Name, Shape::Create),        // creat
        437 => row(2, NONE, Via::Name, Shape::Open2),        // openat2
        77 => row(0, NONE, Via::Name, Shape::Truncate),      // ftruncate
        30 => row(0, NONE, Via::Mmap, Shape::Attach),        // shmat
        209 => row(NONE, 0, Via::File, Shape::Submit),       // io_submit
        310 => row(0, NONE, Via::Memory, Shape::Process),    // process_vm_readv
        311 => row(NONE, 0, Via::Memory, Shape::Process),    // process_vm_writev
        _ => row(NONE, NONE, Via::File, Shape::Plain),
    }
}

/// The number of no system call.
pub const UNKNOWN: u64 = u64::MAX;
/// i386 calls that name another one in their first argument.
pub const SOCKETCALL: u64 = 102;
/// See [`SOCKETCALL`].
pub const IPC: u64 = 117;
/// i386 mmap(2) whose arguments lie in memory.
pub const OLD_MMAP: u64 = 90;
/// i386 ftruncate(2), whose length is of 32 bits; that of the others is of 64.
pub const SHORT_FTRUNCATE: u64 = 93;
/// What tells an x32 call.
pub const X32: u64 = 0x4000_0000;

/// The x86-64 number of an i386 call that moves bytes or empties files; the arguments are the same, but that numbers of 64
/// bits are two.
#[inline(always)]
#[rustfmt::skip]
pub const fn ia32(nr: u64) -> u64 {
    match nr {
        3 => 0, 4 => 1, 180 => 17, 181 => 18, 145 => 19, 146 => 20,  // read write pread64 pwrite64 readv writev
        333 => 295, 334 => 296, 378 => 327, 379 => 328,              // preadv pwritev preadv2 pwritev2
        369 => 44, 370 => 46, 371 => 45, 372 => 47, 345 => 307,      // sendto sendmsg recvfrom recvmsg sendmmsg
        337 | 417 => 299, 365 => 55,                                 // recvmmsg recvmmsg_time64 getsockopt
        187 | 239 => 40, 313 => 275, 315 => 276, 316 => 278,         // sendfile sendfile64 splice tee vmsplice
        377 => 326, 54 => 16, 192 | OLD_MMAP => 9,                   // copy_file_range ioctl mmap2 mmap
        5 => 2, 8 => 85, 295 => 257, 437 => 437,                     // open creat openat openat2
        92 | 193 => 76, 93 | 194 => 77,                              // truncate truncate64 ftruncate ftruncate64
        397 => 30, 400 => 69, 401 => 70,                             // shmat msgsnd msgrcv
        248 => 209, 347 => 310, 348 => 311, 426 => 426,              // io_submit process_vm_readv/writev io_uring_enter
        279 | 418 => 242, 280 | 419 => 243,                          // mq_timedsend mq_timedreceive, both also _time64
        _ => UNKNOWN,
    }
}

/// The x86-64 number of what socketcall(2) is asked for.
#[inline(always)]
pub const fn socketcall(call: u64) -> u64 {
    match call {
        9 => 1,    // send
        10 => 0,   // recv
        11 => 44,  // sendto
        12 => 45,  // recvfrom
        15 => 55,  // getsockopt
        16 => 46,  // sendmsg
        17 => 47,  // recvmsg
        19 => 299, // recvmmsg
        20 => 307, // sendmmsg
        _ => UNKNOWN,
    }
}

/// The x86-64 number of what ipc(2) is asked for, whatever its version.
#[inline(always)]
pub const fn ipc(call: u64) -> u64 {
    match call & 0xffff {
        11 => 69, // msgsnd
        12 => 70, // msgrcv
        21 => 30, // shmat
        _ => UNKNOWN,
    }
}

/// The x86-64 number of an x32 call.
#[inline(always)]
#[rustfmt::skip]
pub const fn x32(nr: u64) -> u64 {
    match nr & !X32 {
        514 => 16, 515 => 19, 516 => 20, 534 => 295, 535 => 296,     // ioctl readv writev preadv pwritev
        546 => 327, 547 => 328, 517 => 45, 518 => 46, 519 => 47,     // preadv2 pwritev2 recvfrom sendmsg recvmsg
        537 => 299, 538 => 307, 532 => 278, 544 => 209, 542 => 55,   // recvmmsg sendmmsg vmsplice io_submit getsockopt
        539 => 310, 540 => 311,                                      // process_vm_readv process_vm_writev
        low if low < 512 => low,
        _ => UNKNOWN,
    }
}

/// A set of the numbers that system calls have in the tables of any entry.
pub struct Numbers([u64; 8]);

/// Those that may have a sink.
pub const SINKS: Numbers = Numbers::of(true);
/// Those that may have a source or a sink.
pub const MOVERS: Numbers = Numbers::of(false);

impl Numbers {
    const fn of(sinks: bool) -> Self {
        let (mut words, mut nr) = ([0; 8], 0);
        while nr < 512 {
            let names_another = matches!(nr, SOCKETCALL | IPC);
            if names_another || has_end(syscall(nr), sinks) || has_end(syscall(ia32(nr)), sinks) {
                words[(nr / 64) as usize] |= 1 << (nr % 64);
            }
            nr += 1;
        }
        Self(words)
    }
    /// False for a call that is in no table, whichever way it came. Those of x32 have larger numbers, and are in it all.
    #[inline(always)]
    pub const fn may_have(&self, nr: u64) -> bool {
        nr >= 512 || self.0[(nr / 64 % 8) as usize] >> (nr % 64) & 1 != 0
    }
}

const fn has_end(row: Row, sinks: bool) -> bool {
    row.sink != NONE || !sinks && row.source != NONE
}

/// The io_uring operations that move bytes between their file (argument 0) and memory.
#[inline(always)]
#[rustfmt::skip]
pub const fn uring(opcode: u8) -> Row {
    match opcode {
        // READV READ_FIXED READ RECVMSG RECV READ_MULTISHOT
        1 | 4 | 22 | 10 | 27 | 49 => row(0, NONE, Via::IoUring, Shape::Plain),
        // WRITEV WRITE_FIXED WRITE SENDMSG SEND SEND_ZC SENDMSG_ZC
        2 | 5 | 23 | 9 | 26 | 47 | 48 => row(NONE, 0, Via::IoUring, Shape::Plain),
        _ => row(NONE, NONE, Via::IoUring, Shape::Plain),
    }
}

/// How a call of write(2)'s family names its bytes, and where they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writing {
    /// Argument 1 is a `struct iovec *`, not the bytes.
    pub vector: bool,
    /// Argument 3 is the position; without, or when it is -1, the file's own counts.
    pub at: bool,
}

/// The x86-64 system calls that write from memory to a position in a file.
#[inline(always)]
pub const fn writing(nr: u64) -> Option<Writing> {
    let (vector, at) = match nr {
        1 => (false, false),       // write
        18 => (false, true),       // pwrite64
        20 => (true, false),       // writev
        296 | 328 => (true, true), // pwritev pwritev2
        _ => return None,
    };
    Some(Writing { vector, at })
}

/// The x86-64 system calls that may cut a file to nothing: truncate, ftruncate, and open, creat, openat, openat2 with
/// `O_TRUNC`.
#[inline(always)]
pub const fn may_empty(nr: u64) -> bool {
    matches!(nr, 76 | 77 | 2 | 85 | 257 | 437)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_agree_and_everything_else_is_ignored() {
        for nr in [0, 17, 19, 295, 327, 45, 47, 299, 70] {
            assert_eq!((syscall(nr).source, syscall(nr).sink), (0, NONE), "{nr}");
        }
        for nr in [1, 18, 20, 296, 328, 44, 46, 307, 278, 69] {
            assert_eq!((syscall(nr).source, syscall(nr).sink), (NONE, 0), "{nr}");
        }
        for nr in [3, 39, 57, 59, 60, 231, 425, 1000, u64::MAX] {
            assert_eq!((syscall(nr).source, syscall(nr).sink), (NONE, NONE), "{nr}");
        }
    }

    #[test]
    fn no_call_of_a_table_is_passed_over() {
        let ways = |nr: u64| [syscall(nr), syscall(ia32(nr)), syscall(x32(nr))];
        for nr in (0..1000).chain(X32..X32 + 1000) {
            assert!(SINKS.may_have(nr) || ways(nr).iter().all(|row| row.sink == NONE), "{nr}");
            assert!(MOVERS.may_have(nr) || ways(nr).iter().all(|row| !has_end(*row, false)), "{nr}");
        }
        assert!([SOCKETCALL, IPC, OLD_MMAP].iter().all(|nr| MOVERS.may_have(*nr)));
        assert!(!SINKS.may_have(0) && ![24, 39, 186].iter().any(|nr| MOVERS.may_have(*nr)));
    }

    #[test]
    fn what_writes_to_a_file_is_a_sink_of_the_table() {
        let writers = (0..1000).filter(|nr| writing(*nr).is_some());
        for nr in writers {
            assert_eq!((syscall(nr).sink, syscall(nr).shape), (0, Shape::Plain), "{nr}");
        }
    }

    /// What an entry maps to is a call that the tables know.
    #[test]
    fn other_entries_lead_into_the_table() {
        let known = |nr: u64| {
            nr == UNKNOWN || nr == 426 || may_empty(nr) || syscall(nr).source != NONE || syscall(nr).sink != NONE
        };
        for nr in 0..600 {
            assert!(known(ia32(nr)) && known(socketcall(nr)) && known(ipc(nr)), "{nr}");
        }
        for nr in (0..512).filter(|nr| *nr != 16) {
            assert_eq!(x32(X32 | nr), nr);
        }
        assert!((512..600).map(|nr| x32(X32 | nr)).all(known));
        for nr in (0..512).filter(|nr| known(*nr) && *nr != 426) {
            let reached = (0..600).any(|n| ia32(n) == nr || socketcall(n) == nr || ipc(n) == nr);
            assert!(reached, "no 32-bit call leads to {nr}");
        }
    }

    #[test]
    fn numbers_and_names_round_trip() {
        for via in Via::ALL {
            assert_eq!(Via::from_u8(*via as u8), Some(*via));
        }
        assert_eq!(Via::from_u8(200), None);
    }
}
