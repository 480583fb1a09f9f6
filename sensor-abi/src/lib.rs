//! What the in-kernel programs and the agent must agree on, and nothing else: record layouts, map keys and values,
//! settings, the offset table and the propagation vocabulary.
//!
//! A type may enter this crate only if both sides read it. Every layout has no implicit padding (zerocopy checks it at
//! compile time) and enters [`ABI`], so an agent never reads the records of an ELF that was built from another layout.
#![no_std]

pub mod fault;
pub mod flow;
pub mod key;
pub mod magic;
pub mod mark;
pub mod offsets;
pub mod policy;
pub mod reap;
pub mod record;
pub mod settings;
pub mod state;

/// Hash over the layout of everything that crosses the boundary. The loader refuses an ELF whose `ABI` differs.
pub const ABI: u64 = {
    let sizes = [
        size_of::<key::CarrierKey>(),
        size_of::<key::PairKey>(),
        size_of::<key::EdgeKey>(),
        size_of::<key::MemberKey>(),
        size_of::<key::EndpointKey>(),
        size_of::<mark::FileMark>(),
        size_of::<mark::ObjectMark>(),
        size_of::<mark::TaskMark>(),
        size_of::<mark::PairBytes>(),
        size_of::<mark::Dump>(),
        size_of::<record::Birth>(),
        size_of::<record::Edge>(),
        size_of::<record::Exec>(),
        size_of::<record::Fork>(),
        size_of::<record::Exit>(),
        size_of::<record::Grow>(),
        size_of::<record::Connect>(),
        size_of::<record::Crash>(),
        size_of::<record::Truncate>(),
        size_of::<record::Verdict>(),
        size_of::<policy::NetworkKey>(),
        size_of::<policy::NetworkZone>(),
        size_of::<policy::ClassKey>(),
        size_of::<policy::PlaceKey>(),
        size_of::<policy::Denied>(),
        policy::ZONES as usize,
        size_of::<mark::Dumping>(),
        size_of::<mark::Stash>(),
        size_of::<mark::Call>(),
        size_of::<settings::Settings>(),
        size_of::<offsets::Offsets>(),
        fault::Fault::COUNT as usize,
        record::FORMAT as usize,
    ];
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut i = 0;
    while i < sizes.len() {
        hash = (hash ^ sizes[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
};
