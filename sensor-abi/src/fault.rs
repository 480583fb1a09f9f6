//! Why the kernel side lost something. Every drop has a counter; ids are never reused.

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $id:literal $text:literal,)*) => {
        /// A cause of loss; the index into the per-CPU array `FAULT`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum Fault { $($(#[$doc])* $name = $id,)* }

        impl Fault {
            /// All causes, in order of their id.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// Number of slots in `FAULT`.
            pub const COUNT: u32 = Self::ALL.len() as u32;
            /// The name that counters, gaps and docs use.
            pub const fn name(self) -> &'static str { match self { $(Self::$name => $text,)* } }
        }
    };
}

faults! {
    /// The urgent ring had no room.
    UrgentRingFull = 0 "urgent_ring_full",
    /// The flow ring had no room.
    FlowRingFull = 1 "flow_ring_full",
    /// `FILE` had no room: a file holds bytes without a mark.
    FileMapFull = 2 "file_map_full",
    /// `OBJECT` or `ENDPOINT` had no room.
    ObjectMapFull = 3 "object_map_full",
    /// `TASK` had no room.
    TaskMapFull = 4 "task_map_full",
    /// `EDGE` had no room: the mark stands, the step is not reported.
    EdgeMapFull = 5 "edge_map_full",
    /// `MEMBER` had no room: the carrier got the colour "many" instead.
    MemberMapFull = 6 "member_map_full",
    /// `PAIR` had no room: bytes are not counted.
    PairMapFull = 7 "pair_map_full",
    /// No free colour: the dump shares "many".
    ColoursExhausted = 8 "colours_exhausted",
    /// `STASH` had no room: bytes of one system call are not counted.
    StashMapFull = 9 "stash_map_full",
    /// `DUMP` or `DUMPING` had no room: a birth was not recorded.
    DumpMapFull = 10 "dump_map_full",
    /// A movement was under way while functions took over from system calls, and neither layer is sure to have counted it.
    HandOver = 11 "hand_over",
    /// `SERVER` had no room: what is written to a file system in user space is not followed into its server.
    ServerMapFull = 12 "server_map_full",
    /// `TRANSFER` had no room: a transfer that waits for its source is not refused when that gets a mark.
    TransferMapFull = 13 "transfer_map_full",
}
