//! The slots of the programs; no two share one. See [`Slot`].

use crate::engine::work::{Layer, SLOTS, Slot};

macro_rules! slots {
    ($($layer:ident { $($name:ident)* })*) => {
        #[repr(u32)]
        #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "only their numbers are used, by the constants")]
        enum Number { $($($name,)*)* Count }
        $($(pub const $name: Slot = Slot::new(Number::$name as u32, Layer::$layer);)*)*
        const _: () = assert!(Number::Count as u32 <= SLOTS);
    };
}

// SCAN is the second one of `executed`.
slots! {
    Alone {
        INODE_DIRTIED CTIME_CHANGED CORE_SENT SIGNALLED FORKED EXECUTED SCAN EXITED STATE_CHANGED DELIVERED
        OPENED DUMPED READABLE SHARE HOLD ASKED ANSWERED
    }
    Calls { ENTERED RETURNED ENTERED_AGAIN RETURNED_AGAIN }
    Rings { URING_BEGAN URING_DONE }
    Functions {
        VERIFIED PIPE_DRAINED FIFO_DRAINED PIPE_FILLED FIFO_FILLED MAPPING TRUNCATED TRUNCATED_MAPPED
        PROTECTING RECEIVED RECEIVED_MORE OPTION_TAKEN SENDING SENT_INET SENT_INET6 SENT_STREAM SENT_DATAGRAM
        SENDFILE_BEGAN SENDFILE_ENDED SPLICE_BEGAN SPLICE_ENDED TEE_BEGAN TEE_ENDED
        VM_READ VM_WRITING VM_WRITTEN MEM_READ KERNEL_READ KERNEL_READ_ITER QUEUEING QUEUED UNQUEUED
        MSG_SENDING MSG_SENT MSG_RECEIVED TTY_DRAINED TTY_FILLED
        COPY_BEGAN COPY_ENDED CLONE_BEGAN CLONE_ENDED VMSPLICE_BEGAN VMSPLICE_ENDED
        NARROW_VMSPLICE_BEGAN NARROW_VMSPLICE_ENDED NARROW_VM_READ NARROW_VM_WRITING NARROW_VM_WRITTEN
    }
}
