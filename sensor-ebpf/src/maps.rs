//! All maps. Plain preallocated hashes: nothing is evicted, a full map is a fault that is counted and told.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, LpmTrie, PerCpuArray, Queue, RingBuf},
};
use sensor_abi::{
    ABI,
    fault::Fault,
    key::{CarrierKey, EdgeKey, EndpointKey, MemberKey, PairKey},
    mark::{Call, Dump, Dumping, FileMark, ObjectMark, PairBytes, Server, Stash, TaskMark},
    offsets::Offsets,
    policy::{self, ClassKey, Denied, NetworkKey, NetworkZone, PlaceKey},
    record::{FLOW_BYTES, URGENT_BYTES},
    settings::Settings,
    state,
};

use crate::{
    engine::{ahead::Ahead, work::SLOTS},
    stats::Word,
};

/// Layout hash; the loader refuses an ELF that has another.
#[unsafe(no_mangle)]
static DUMPTRAIL_ABI: u64 = ABI;
/// Struct member offsets of the running kernel, frozen at load.
#[unsafe(no_mangle)]
pub static OFFSETS: Offsets = Offsets::ZERO;
/// Settings, frozen at load.
#[unsafe(no_mangle)]
pub static SETTINGS: Settings =
    Settings { agent_tgid: 0, task_btf: 0, task_regs: 0, argv: 0, file_type: 0, word_type: 0, inode_gone: 0, fifos: 0 };

/// Why openings are looked at: the number of processes in `CRASHED`, and [`MARKED`] once a file has got a mark.
#[unsafe(no_mangle)]
pub static REASONS: Word = Word::zero();
/// More than all processes.
pub const MARKED: u64 = 1 << 32;
/// Some process in `CRASHED` has not come to its end.
#[inline(always)]
pub fn is_crashing() -> bool {
    REASONS.get() as u32 != 0
}

/// Number of processes in `AHEAD`.
#[unsafe(no_mangle)]
pub static AHEADS: Word = Word::zero();

/// Regular files that hold dump bytes.
#[map]
pub static FILE: HashMap<CarrierKey, FileMark> = HashMap::with_max_entries(65_536, 0);
/// Pipes, FIFOs and receiving sockets that hold dump bytes.
#[map]
pub static OBJECT: HashMap<CarrierKey, ObjectMark> = HashMap::with_max_entries(65_536, 0);
/// Receivers of which only the address is known.
#[map]
pub static ENDPOINT: HashMap<EndpointKey, ObjectMark> = HashMap::with_max_entries(65_536, 0);
/// Processes that may hold dump bytes, by tgid.
#[map]
pub static TASK: HashMap<u32, TaskMark> = HashMap::with_max_entries(32_768, 0);
/// Movements that have been reported. The value is not used.
#[map]
pub static EDGE: HashMap<EdgeKey, u64> = HashMap::with_max_entries(131_072, 0);
/// Bytes between two carriers.
#[map]
pub static PAIR: HashMap<PairKey, PairBytes> = HashMap::with_max_entries(131_072, 0);
/// Which mark has which colour. The value is not used.
#[map]
pub static MEMBER: HashMap<MemberKey, u64> = HashMap::with_max_entries(131_072, 0);
/// Dumps that have been read, and their colour.
#[map]
pub static DUMP: HashMap<u64, Dump> = HashMap::with_max_entries(8_192, 0);
/// Dumps that programs make: from whose memory (zero when not known) to the process that makes it.
#[map]
pub static TAKEN: HashMap<PairKey, u64> = HashMap::with_max_entries(4_096, 0);
/// Processes that are writing a core file, by tgid.
#[map]
pub static DUMPING: HashMap<u32, Dumping> = HashMap::with_max_entries(1_024, 0);
/// Processes that got a core-dumping signal, by tgid; the value is the time.
#[map]
pub static CRASHED: HashMap<u32, u64> = HashMap::with_max_entries(1_024, 0);
/// Marked system calls in progress, by thread.
#[map]
pub static STASH: HashMap<u64, Stash> = HashMap::with_max_entries(16_384, 0);
/// Files that calls from object to socket take from, by thread, while rules that block are in force.
#[map]
pub static TRANSFER: HashMap<u64, u64> = HashMap::with_max_entries(4_096, 0);
/// System calls in progress while both layers stand, by thread; the agent empties it before.
#[map]
pub static CALL: HashMap<u64, Call> = HashMap::with_max_entries(16_384, 0);
/// Reads that began at a file's end, by tgid: the last of each process.
#[map]
pub static AHEAD: HashMap<u32, Ahead> = HashMap::with_max_entries(4_096, 0);
/// Who takes the requests of a FUSE connection, by its address.
#[map]
pub static SERVER: HashMap<u64, Server> = HashMap::with_max_entries(1_024, 0);
/// Free colours; the agent refills it.
#[map]
pub static COLOUR: Queue<u32> = Queue::with_max_entries(256, 0);
/// Executables that are declassifiers: what they write or send is not marked. The agent fills it; the value is not used.
#[map]
pub static TRUSTED: HashMap<CarrierKey, u64> = HashMap::with_max_entries(256, 0);
/// The zone of an address, by prefix. The agent fills this and all that follows for verdicts.
#[map]
pub static NETWORK: LpmTrie<NetworkKey, NetworkZone> = LpmTrie::with_max_entries(policy::NETWORKS, 0);
/// What some workload names: its class.
#[map]
pub static CLASS: HashMap<ClassKey, u32> = HashMap::with_max_entries(policy::CLASSES, 0);
/// The zone of a process, by its classes.
#[map]
pub static PLACE: HashMap<PlaceKey, u32> = HashMap::with_max_entries(policy::PLACES, 0);
/// Colours that may not go from one zone to another, by `policy::denied_index`.
#[map]
pub static DENIED: Array<Denied> = Array::with_max_entries(policy::DENIED, 0);
/// How verdicts are reached: see `policy::fence`.
#[map]
pub static FENCE: Array<u64> = Array::with_max_entries(policy::fence::COUNT, 0);
/// Verdicts, per CPU: those that were only said, and those by which a call got EPERM.
#[map]
pub static VERDICT: PerCpuArray<u64> = PerCpuArray::with_max_entries(2, 0);
/// Losses by cause, per CPU.
#[map]
pub static FAULT: PerCpuArray<u64> = PerCpuArray::with_max_entries(Fault::COUNT, 0);
/// See [`state`].
#[map]
pub static STATE: Array<u64> = Array::with_max_entries(state::COUNT, 0);
/// Births, crashes, sends: woken at once.
#[map]
pub static URGENT: RingBuf = RingBuf::with_byte_size(URGENT_BYTES, 0);
/// Everything else.
#[map]
pub static FLOW: RingBuf = RingBuf::with_byte_size(FLOW_BYTES, 0);
/// Room to build a record, one for each program.
#[map]
pub static SCRATCH: PerCpuArray<[u8; 8192]> = PerCpuArray::with_max_entries(SLOTS, 0);
