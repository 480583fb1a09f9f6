//! `struct iocb`: a request of libaio, in user memory.

use sensor_abi::flow::Move;

use super::read_user;

/// A request, by user address.
#[derive(Clone, Copy)]
pub struct Request(pub u64);

const PREADV: u16 = 7;
const PWRITEV: u16 = 8;

impl Request {
    /// Which way the bytes go; none for requests that move none.
    #[inline(always)]
    pub fn direction(self) -> Option<Move> {
        match self.opcode() {
            0 | PREADV => Some(Move::Read),
            1 | PWRITEV => Some(Move::Write),
            _ => None,
        }
    }
    #[inline(always)]
    fn opcode(self) -> u16 {
        read_user(self.0.wrapping_add(16))
    }
    /// The descriptor.
    #[inline(always)]
    pub fn descriptor(self) -> u32 {
        read_user(self.0.wrapping_add(20))
    }
    /// Bytes that are asked for; of several pieces those of the first.
    #[inline(always)]
    pub fn bytes(self) -> u64 {
        let vector = matches!(self.opcode(), PREADV | PWRITEV);
        if vector {
            read_user(read_user::<u64>(self.0.wrapping_add(24)).wrapping_add(8))
        } else {
            read_user(self.0.wrapping_add(32))
        }
    }
}
