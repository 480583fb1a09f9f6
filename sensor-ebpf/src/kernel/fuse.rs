//! `struct fuse_conn` and `struct fuse_req`: file systems whose server is a process.

use sensor_abi::offsets::MISSING;

use super::{file::Inode, offset, read};

/// `FUSE_READ`.
const READ: u32 = 15;
/// `FUSE_WRITE`.
const WRITE: u32 = 16;
/// `sizeof(struct fuse_out_header)`.
const HEADER: u32 = 16;
/// `sizeof(struct fuse_in_header)` and of `struct fuse_write_in`.
const WRITE_HEADER: u32 = 80;
/// `PAGE_MAPPING_FLAGS`: the page is not of a file.
const NO_FILE: u64 = 3;

/// A connection between a mount and its server, by address.
#[derive(Clone, Copy)]
pub struct Connection(pub u64);

impl Connection {
    /// The one that the private data of an open `/dev/fuse` leads to; address 0 where the kernel does not tell, or before the
    /// mount.
    #[inline(always)]
    pub fn of_private(data: u64) -> Self {
        if data == 0 {
            return Self(0);
        }
        if offset!(channel_of_device) != MISSING {
            return Self::of_channel(read(data, offset!(channel_of_device)));
        }
        Self(if offset!(fuse_of_device) == MISSING { 0 } else { read(data, offset!(fuse_of_device)) })
    }

    // KERNEL(7.2): `struct fuse_chan` stands between a connection and its devices and requests.
    #[inline(always)]
    fn of_channel(channel: u64) -> Self {
        Self(if offset!(fuse_of_channel) == MISSING || channel == 0 {
            0
        } else {
            read(channel, offset!(fuse_of_channel))
        })
    }

    #[inline(always)]
    fn of_request(request: u64) -> Self {
        if offset!(channel_of_request) != MISSING {
            return Self::of_channel(read(request, offset!(channel_of_request)));
        }
        Self(if offset!(fuse_mount) == MISSING {
            0
        } else {
            read(read(request, offset!(fuse_mount)), offset!(fuse_of_mount))
        })
    }
}

/// A request to a server, by address.
#[derive(Clone, Copy)]
pub struct Request(pub u64);

/// What the current process writes to a file of a server.
pub struct Asked {
    /// The file, by its pages.
    pub inode: Inode,
    /// How many bytes.
    pub bytes: u64,
}

/// What a server has answered to a read.
pub struct Answer {
    /// The file whose pages have been filled; address 0 when the bytes went around the page cache.
    pub inode: Inode,
    /// How many they are.
    pub bytes: u64,
    /// Who asked: the id of a thread, as the server's namespace has it.
    pub reader: u32,
    /// Where it was asked.
    pub connection: Connection,
}

/// False where no layout tells what a request is.
#[inline(always)]
fn is_known() -> bool {
    offset!(fuse_args) != MISSING && offset!(fuse_pages) != MISSING && offset!(fuse_opcode) != MISSING
}

impl Request {
    /// What is written by way of the page cache; `None` for any other request.
    #[inline(always)]
    pub fn write(self) -> Option<Asked> {
        if offset!(fuse_asked) == MISSING || !is_known() || read::<u32>(self.0, offset!(fuse_opcode)) != WRITE {
            return None;
        }
        let (inode, length) = (self.file(), read::<u32>(self.0, offset!(fuse_asked)));
        (inode.0 != 0 && length > WRITE_HEADER).then(|| Asked { inode, bytes: u64::from(length - WRITE_HEADER) })
    }
    /// The connection whose server has answered. `None` when none did: the request has failed, maybe with the connection.
    #[inline(always)]
    pub fn answered(self) -> Option<Connection> {
        if !is_known() || read::<i32>(self.0, offset!(fuse_error)) != 0 {
            return None;
        }
        Some(Connection::of_request(self.0)).filter(|connection| connection.0 != 0)
    }
    /// `None` for any other request, and for one that failed.
    #[inline(always)]
    pub fn read(self) -> Option<Answer> {
        if !is_known() {
            return None;
        }
        let length: u32 = read(self.0, offset!(fuse_length));
        let failed = read::<i32>(self.0, offset!(fuse_error)) != 0;
        if read::<u32>(self.0, offset!(fuse_opcode)) != READ || failed || length <= HEADER {
            return None;
        }
        Some(Answer {
            inode: self.file(),
            bytes: u64::from(length - HEADER),
            reader: read(self.0, offset!(fuse_process)),
            connection: Connection::of_request(self.0),
        })
    }
    /// The file whose pages it reads or writes; address 0 when the bytes go around the page cache.
    // KERNEL(6.14): `folios` replaced `pages`. `struct fuse_args` begins `struct fuse_args_pages`, which has them.
    #[inline(always)]
    fn file(self) -> Inode {
        let pages: u64 = read(read(self.0, offset!(fuse_args)), offset!(fuse_pages));
        let mapping: u64 = read(read(pages, 0), offset!(page_mapping));
        let cached = mapping != 0 && mapping & NO_FILE == 0;
        Inode(if cached { read(mapping, offset!(mapping_host)) } else { 0 })
    }
}
