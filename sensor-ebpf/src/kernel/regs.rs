//! `struct pt_regs`: the registers of a system call, and what they mean by the entry through which it came.

use aya_ebpf::helpers::generated::{bpf_get_current_task_btf, bpf_task_pt_regs};
use sensor_abi::flow;

use super::{
    file::File,
    load, offset, read, read_user, setting,
    sock::Name,
    task::{Current, Task},
};

/// `THREAD_SIZE`, and the size of the struct, before 5.15.
const STACK: u64 = 16 << 10;
const SIZE: u64 = 168;
/// `-ENOSYS`
const ENOSYS: u64 = -38_i64 as u64;

/// Registers, by address.
#[derive(Clone, Copy)]
pub struct Regs {
    address: u64,
    /// The verifier knows their type: they can be loaded.
    typed: bool,
}

impl Regs {
    /// Those that lie at an address.
    #[inline(always)]
    pub const fn at(address: u64) -> Self {
        Self { address, typed: false }
    }
    /// An argument of a program whose arguments the verifier knows.
    #[inline(always)]
    pub const fn argument(address: u64) -> Self {
        Self { address, typed: true }
    }
    /// Those with which the current task entered the kernel; of the system call that it is in, if it is in one.
    // KERNEL(5.15): `bpf_task_pt_regs`. Before, no kernel pads the top of the stack (FRED does, 6.9).
    #[inline(always)]
    pub fn current() -> Self {
        if setting!(task_regs) == 0 {
            let stack: u64 = read(Task::current().0, offset!(task_stack));
            return Self::at(stack.wrapping_add(STACK - SIZE));
        }
        // SAFETY: the helpers have no preconditions.
        Self::argument(unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) } as u64)
    }
    /// System call number.
    // KERNEL(5.14): an int, whatever the upper half of its register holds (`do_syscall_64`). Before, that is no call.
    #[inline(always)]
    pub fn number(self) -> u64 {
        self.word(offset!(regs_nr)) as i32 as u64
    }
    /// The call has not returned: until then this is what is in the place of its result. Work of a ring that is left for the
    /// way back to user space comes after that.
    #[inline(always)]
    pub fn is_in_progress(self) -> bool {
        self.word(offset!(regs_ax)) == ENOSYS
    }
    /// Argument `n`, 0 to 5.
    #[inline(always)]
    pub fn arg(self, n: u8) -> u64 {
        match n {
            0 => self.word(offset!(regs_a0)),
            1 => self.word(offset!(regs_a1)),
            2 => self.word(offset!(regs_a2)),
            3 => self.word(offset!(regs_a3)),
            4 => self.word(offset!(regs_a4)),
            _ => self.word(offset!(regs_a5)),
        }
    }
    #[inline(always)]
    fn word(self, offset: u64) -> u64 {
        if self.typed { load(self.address, offset) } else { read(self.address, offset) }
    }
    /// Half a register, which is all that a 32-bit caller has.
    #[inline(always)]
    fn half(self, offset: u64) -> u64 {
        u64::from(read::<u32>(self.address, offset))
    }
}

/// How a system call brings its arguments.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Entry {
    /// x86-64 and x32: in registers.
    Native = 0,
    /// i386: in other registers, of 32 bits.
    Narrow = 1,
    /// i386: in memory (socketcall(2), the old mmap(2)).
    List = 2,
    /// i386: ipc(2), which has its own order.
    Ipc = 3,
}

/// A system call as if it had come through the x86-64 entry.
#[derive(Clone, Copy)]
pub struct Call {
    task: Current,
    regs: Regs,
    entry: Entry,
    /// Addresses in what its arguments point to are of 32 bits.
    narrow: bool,
    /// Its length is in one register.
    short: bool,
    list: u64,
    /// Its number in the x86-64 table, or [`flow::UNKNOWN`].
    pub number: u64,
}

impl Call {
    /// The one that the current task is in.
    #[inline(always)]
    pub fn current() -> Self {
        let regs = Regs::current();
        Self::of(regs, regs.number())
    }
    /// The one that entered with these registers, by the number that its own table has.
    #[inline(always)]
    pub fn of(regs: Regs, number: u64) -> Self {
        let task = Current::get();
        if task.is_compat() {
            return Self::narrow(task, regs, number);
        }
        let x32 = number & flow::X32 != 0 && number != flow::UNKNOWN;
        let number = if x32 { flow::x32(number) } else { number };
        Self { task, regs, entry: Entry::Native, narrow: x32, short: false, list: 0, number }
    }
    #[inline(always)]
    fn narrow(task: Current, regs: Regs, number: u64) -> Self {
        let (first, second) = (regs.half(offset!(regs_bx)), regs.half(offset!(regs_cx)));
        let (entry, list, known) = match number {
            flow::SOCKETCALL => (Entry::List, second, flow::socketcall(first)),
            flow::OLD_MMAP => (Entry::List, first, flow::ia32(number)),
            flow::IPC => (Entry::Ipc, 0, flow::ipc(first)),
            _ => (Entry::Narrow, 0, flow::ia32(number)),
        };
        let short = number == flow::SHORT_FTRUNCATE;
        Self { task, regs, entry, narrow: true, short, list, number: known }
    }
    /// Argument `n`, 0 to 5.
    #[inline(always)]
    pub fn arg(&self, n: u8) -> u64 {
        match self.entry {
            Entry::Native => self.regs.arg(n),
            Entry::Narrow => self.register(n),
            Entry::List => u64::from(read_user::<u32>(self.list.wrapping_add(u64::from(n) * 4))),
            // Call, first, second, third, pointer.
            Entry::Ipc => self.register(match n {
                0 => 1,
                1 => 4,
                2 => 2,
                _ => 3,
            }),
        }
    }
    #[inline(always)]
    fn register(&self, n: u8) -> u64 {
        match n {
            0 => self.regs.half(offset!(regs_bx)),
            1 => self.regs.half(offset!(regs_cx)),
            2 => self.regs.half(offset!(regs_a2)),
            3 => self.regs.half(offset!(regs_a1)),
            4 => self.regs.half(offset!(regs_a0)),
            _ => self.regs.half(offset!(regs_bp)),
        }
    }
    /// The open file that argument `n` is the descriptor of.
    #[inline(always)]
    pub fn file(&self, n: u8) -> File {
        self.task.file(self.arg(n) as u32)
    }
    /// The open file of a descriptor.
    #[inline(always)]
    pub fn file_of(&self, descriptor: u64) -> File {
        self.task.file(descriptor as u32)
    }
    /// The number of 64 bits that argument `n` is; where registers have 32, the next one has its upper half.
    #[inline(always)]
    pub fn wide(&self, n: u8) -> u64 {
        let low = self.arg(n);
        if self.entry == Entry::Native || self.short { low } else { low | self.arg(n + 1) << 32 }
    }
    /// The address at index `i` of a table of such at `table`.
    #[inline(always)]
    pub fn address(&self, table: u64, i: u64) -> u64 {
        if self.narrow {
            u64::from(read_user::<u32>(table.wrapping_add(i * 4)))
        } else {
            read_user(table.wrapping_add(i * 8))
        }
    }
    /// The name, where a `struct user_msghdr` has one, which is of some length.
    #[inline(always)]
    pub fn name(&self, message: u64) -> Name {
        let length: u32 = read_user(message.wrapping_add(if self.narrow { 4 } else { 8 }));
        if length == 0 { Name::NONE } else { Name::user(self.address(message, 0)) }
    }
    /// See [`Regs::is_in_progress`].
    #[inline(always)]
    pub fn is_in_progress(&self) -> bool {
        self.regs.is_in_progress()
    }
    /// The size of a `struct mmsghdr`, and where in it the bytes stand that have moved.
    #[inline(always)]
    pub fn messages(&self) -> (u64, u64) {
        if self.narrow { (32, 28) } else { (64, 56) }
    }
}
