//! The slots of the programs; no two share one. See [`Slot`].

use crate::engine::work::{SLOTS, Slot};

macro_rules! slots {
    ($($name:ident,)*) => {
        #[repr(u32)]
        #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "only their numbers are used, by the constants")]
        enum Number { $($name,)* Count }
        $(pub const $name: Slot = Slot(Number::$name as u32);)*
        const _: () = assert!(Number::Count as u32 <= SLOTS);
    };
}

slots! {
    INODE_DIRTIED,
    CTIME_CHANGED,
    CORE_SENT,
    SIGNALLED,
    FORKED,
    EXECUTED,
    SCAN, // the second one of `executed`
    EXITED,
    STATE_CHANGED,
    DELIVERED,
    URING_BEGAN,
    URING_DONE,
    ENTERED,
    RETURNED,
}
