//! What the kernel decides by whether a movement is refused: zones by number, and for two of them the colours that may
//! not go from the one to the other. The agent fills in all of it; a generation of it is switched as a whole.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::mark::MarkSet;

/// Zones at most; number 0 is the zone `unknown`.
pub const ZONES: u32 = 32;
/// In place of a zone: that of the sender. Loopback and the host's own addresses are where it is.
pub const SENDER: u8 = 0xff;
/// Ports of one prefix that can have a zone of their own.
pub const PORTS: usize = 16;
/// Generations that the maps have room for: the one in force, and the one that is being written.
pub const GENERATIONS: u32 = 2;
/// Entries of `NETWORK`, of all generations.
pub const NETWORKS: u32 = 8_192;
/// Entries of `CLASS`, of all generations.
pub const CLASSES: u32 = 16_384;
/// Entries of `PLACE`, of all generations.
pub const PLACES: u32 = 8_192;

/// Indices of the array `FENCE`.
pub mod fence {
    /// One of [`super::mode`].
    pub const MODE: u32 = 0;
    /// The generation in force.
    pub const GENERATION: u32 = 1;
    /// A thread of the agent whose calls are refused: the self-test.
    pub const TEST: u32 = 2;
    /// Rises when the configuration is another: verdicts are told anew.
    pub const EPOCH: u32 = 3;
    /// Number of entries.
    pub const COUNT: u32 = 4;
}

/// What a verdict does.
pub mod mode {
    /// Nothing is decided.
    pub const OFF: u64 = 0;
    /// It is said, and the call goes on.
    pub const OBSERVE: u64 = 1;
    /// The call gets EPERM.
    pub const ENFORCE: u64 = 2;
}

/// Key of `NETWORK` behind its prefix length. Addresses are v6, v4 ones mapped, network order.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct NetworkKey {
    /// Which generation.
    pub generation: u32,
    /// The address.
    pub address: [u32; 4],
}

/// Bits of a [`NetworkKey`] before the address.
pub const GENERATION_BITS: u32 = 32;

/// Value of `NETWORK`: the zone of what has this prefix and no longer one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct NetworkZone {
    /// Ports that are elsewhere; 0 ends the list.
    pub ports: [u16; PORTS],
    /// And where.
    pub zones: [u8; PORTS],
    /// The zone of all others, or [`SENDER`].
    pub zone: u8,
    /// Keeps the layout free of implicit padding.
    pub reserved: u8,
}

/// Key of `CLASS`: control groups, network namespaces and users that some workload names.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ClassKey {
    /// cgroup v2 id, inode number of the network namespace, or real user id.
    pub id: u64,
    /// One of [`class`].
    pub kind: u32,
    /// Which generation.
    pub generation: u32,
}

/// Kinds of [`ClassKey`].
pub mod class {
    /// Control groups. One that is not listed is of the class of the nearest above it.
    pub const CGROUP: u32 = 0;
    /// Network namespaces.
    pub const NETNS: u32 = 1;
    /// Users.
    pub const USER: u32 = 2;
}

/// Key of `PLACE`: a process as workloads tell it from others, each part a class, 0 for what none names.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct PlaceKey {
    /// Class of its control group.
    pub cgroup: u32,
    /// Class of its network namespace.
    pub netns: u32,
    /// Class of its user.
    pub user: u32,
    /// Which generation.
    pub generation: u32,
}

/// Value of `DENIED`: colours that may not go from one zone to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Denied {
    /// By sending.
    pub send: MarkSet,
    /// By opening or reading the file; the first zone is not looked at then, and is 0.
    pub open: MarkSet,
}

/// Index in `DENIED`.
#[inline(always)]
pub const fn denied_index(generation: u32, from: u32, to: u32) -> u32 {
    (generation % GENERATIONS * ZONES + from % ZONES) * ZONES + to % ZONES
}

/// Entries of `DENIED`.
pub const DENIED: u32 = GENERATIONS * ZONES * ZONES;

#[cfg(feature = "user")]
mod pod {
    use super::{ClassKey, Denied, NetworkKey, NetworkZone, PlaceKey};

    macro_rules! pod {
        ($($t:ty),*) => {$(
            // SAFETY: `repr(C)`, Copy, 'static, and zerocopy's IntoBytes proves that there is no padding.
            unsafe impl aya::Pod for $t {}
        )*};
    }
    pod!(ClassKey, Denied, NetworkKey, NetworkZone, PlaceKey);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_zones_has_an_entry_of_its_own() {
        assert_eq!(denied_index(0, 0, 0), 0);
        assert_eq!(denied_index(1, ZONES - 1, ZONES - 1), DENIED - 1);
        assert_ne!(denied_index(0, 1, 0), denied_index(0, 0, 1));
    }
}
