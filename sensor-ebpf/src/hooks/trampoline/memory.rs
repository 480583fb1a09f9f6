//! Memory of other processes, and queues. Flow hooks. Writes to `/proc/PID/mem` are seen where files are
//! (`file::verified`).

use aya_ebpf::{
    EbpfContext as _,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use sensor_abi::flow::Via;

use crate::{
    engine::{self, Op, below},
    hooks::slots,
    kernel::{
        argument,
        file::{File, request_file},
        ipc::Queue,
        regs::{Call, Regs},
        task::current_file,
    },
};

/// `__x64_sys_process_vm_readv(const struct pt_regs *regs)`: the function below it has seven arguments, which programs may
/// have from 6.6 on.
// KERNEL(5.10): what the argument points to is not described there, so that it cannot be loaded from the context.
#[fexit]
fn vm_read(ctx: FExitContext) -> i32 {
    below::read_memory(slots::VM_READ, Regs::at(argument(ctx.as_ptr(), 0)).arg(0), ctx.arg(1));
    0
}

/// `__x64_sys_process_vm_writev(const struct pt_regs *regs)`
#[fentry]
fn vm_writing(ctx: FEntryContext) -> i32 {
    below::writing_memory(slots::VM_WRITING, || Regs::at(argument(ctx.as_ptr(), 0)).arg(0));
    0
}

/// See `vm_writing`.
#[fexit]
fn vm_written(ctx: FExitContext) -> i32 {
    below::ended(slots::VM_WRITTEN, ctx.arg(1));
    0
}

/// `__ia32_sys_process_vm_readv(const struct pt_regs *regs)`: as above, by the 32-bit entry.
#[fexit]
fn narrow_vm_read(ctx: FExitContext) -> i32 {
    below::read_memory(slots::NARROW_VM_READ, Call::current().arg(0), ctx.arg(1));
    0
}

/// `__ia32_sys_process_vm_writev(const struct pt_regs *regs)`
#[fentry]
fn narrow_vm_writing(_: FEntryContext) -> i32 {
    below::writing_memory(slots::NARROW_VM_WRITING, || Call::current().arg(0));
    0
}

/// See `narrow_vm_writing`.
#[fexit]
fn narrow_vm_written(ctx: FExitContext) -> i32 {
    below::ended(slots::NARROW_VM_WRITTEN, ctx.arg(1));
    0
}

/// `mem_read(struct file *file, char __user *buf, size_t count, loff_t *ppos)`: `/proc/PID/mem`, by read(2) and its kin.
#[fexit]
fn mem_read(ctx: FExitContext) -> i32 {
    below::read_memory_file(slots::MEM_READ, File(ctx.arg(0)), ctx.arg(4));
    0
}

/// `read_kcore(struct file *file, char __user *buffer, size_t buflen, loff_t *fpos)`: `/proc/kcore` before 6.4.
#[fexit]
fn kernel_read(ctx: FExitContext) -> i32 {
    below::read_memory_file(slots::KERNEL_READ, File(ctx.arg(0)), ctx.arg(4));
    0
}

/// `read_kcore_iter(struct kiocb *iocb, struct iov_iter *iter)`, 6.4 and later.
#[fexit]
fn kernel_read_iter(ctx: FExitContext) -> i32 {
    below::read_memory_file(slots::KERNEL_READ_ITER, request_file(ctx.arg(0)), ctx.arg(2));
    0
}

/// `do_mq_timedsend(mqd_t mqdes, const char __user *u_msg_ptr, size_t msg_len, unsigned int msg_prio, struct timespec64
/// *ts)`
#[fentry]
fn queueing(ctx: FEntryContext) -> i32 {
    let queue = current_file(ctx.arg(0));
    engine::write(slots::QUEUEING, || Op { sink: queue, ..Op::EMPTY });
    0
}

/// See `queueing`. The result does not say how much.
#[fexit]
fn queued(ctx: FExitContext) -> i32 {
    below::queued(slots::QUEUED, ctx.arg(2), ctx.arg(5));
    0
}

/// `do_mq_timedreceive(mqd_t mqdes, char __user *u_msg_ptr, size_t msg_len, unsigned int __user *u_msg_prio, struct
/// timespec64 *ts)`
#[fexit]
fn unqueued(ctx: FExitContext) -> i32 {
    let queue = || Op { source: current_file(ctx.arg(0)), ..Op::EMPTY };
    below::got(slots::UNQUEUED, queue, i64::from(ctx.arg::<i32>(5)));
    0
}

/// `do_msgsnd(int msqid, long mtype, void __user *mtext, size_t msgsz, int msgflg)`
#[fentry]
fn msg_sending(ctx: FEntryContext) -> i32 {
    engine::write(slots::MSG_SENDING, || system_v(ctx.arg(0)));
    0
}

/// See `msg_sending`.
#[fexit]
fn msg_sent(ctx: FExitContext) -> i32 {
    below::queued(slots::MSG_SENT, ctx.arg(3), ctx.arg(5));
    0
}

/// `do_msgrcv(int msqid, void __user *buf, size_t bufsz, long msgtyp, int msgflg, long (*msg_handler)(…))`
#[fexit]
fn msg_received(ctx: FExitContext) -> i32 {
    below::got(slots::MSG_RECEIVED, || system_v(ctx.arg(0)), ctx.arg(6));
    0
}

/// What moves through the queue with this id.
#[inline(always)]
fn system_v(id: u32) -> Op {
    Op { queue: Queue::seen(u64::from(id)), via: Via::Queue, ..Op::EMPTY }
}
