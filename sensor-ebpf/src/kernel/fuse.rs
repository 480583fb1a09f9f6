//! `struct fuse_conn` and `struct fuse_req`: file systems whose server is a process.

use sensor_abi::offsets::MISSING;

use super::{file::Inode, offset, read};

/// `FUSE_READ`.
const READ: u32 = 15;
/// `sizeof(struct fuse_out_header)`.
const HEADER: u32 = 16;
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
        Self(if offset!(fuse_of_device) == MISSING || data == 0 { 0 } else { read(data, offset!(fuse_of_device)) })
    }
}

/// A request that has been answered, by address.
#[derive(Clone, Copy)]
pub struct Request(pub u64);

impl Request {
    /// The file that has been read, and how much of it has come; `None` for any other request, one that failed, and one that
    /// goes around the page cache.
    // KERNEL(6.14): `folios` replaced `pages`. `struct fuse_args` begins `struct fuse_args_pages`, which has those of a read.
    #[inline(always)]
    pub fn read(self) -> Option<(Inode, u64)> {
        if offset!(fuse_args) == MISSING || offset!(fuse_pages) == MISSING || offset!(fuse_opcode) == MISSING {
            return None;
        }
        let length: u32 = read(self.0, offset!(fuse_length));
        let failed = read::<i32>(self.0, offset!(fuse_error)) != 0;
        if read::<u32>(self.0, offset!(fuse_opcode)) != READ || failed || length <= HEADER {
            return None;
        }
        let pages: u64 = read(read(self.0, offset!(fuse_args)), offset!(fuse_pages));
        let mapping: u64 = read(read(pages, 0), offset!(page_mapping));
        if mapping == 0 || mapping & NO_FILE != 0 {
            return None;
        }
        Some((Inode(read(mapping, offset!(mapping_host))), u64::from(length - HEADER)))
    }
}
