//! `struct io_kiocb`.

use sensor_abi::offsets::MISSING;

use super::{file::File, offset, read};

/// A request, by address.
#[derive(Clone, Copy)]
pub struct Request(pub u64);

impl Request {
    /// `IORING_OP_*`.
    #[inline(always)]
    pub fn opcode(self) -> u8 {
        if self.0 == 0 || offset!(req_opcode) == MISSING { 0 } else { read(self.0, offset!(req_opcode)) }
    }
    /// Its file; address 0 when it has none.
    #[inline(always)]
    pub fn file(self) -> File {
        if self.0 == 0 || offset!(req_file) == MISSING { File(0) } else { File(read(self.0, offset!(req_file))) }
    }
    /// Result in a `struct io_uring_cqe`.
    #[inline(always)]
    pub fn result(cqe: u64) -> i32 {
        read(cqe, 8)
    }
}
