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
}
