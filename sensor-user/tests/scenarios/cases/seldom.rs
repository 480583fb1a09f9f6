//! Calls that programs seldom make, or make in an odd way; each of them moves bytes all the same, or only seems to end them.

use sensor_abi::flow::Via;
use sensor_user::step::{Confidence, StepKind};

use super::{Shared, copy::by_python};
use crate::harness::{
    expect::step,
    scene::{Dump, Scene},
    world::{
        Zone::{Internet, Production},
        port,
    },
};

pub(super) const ALL: &[Shared] = &[
    ("seldom::the_upper_half_of_a_number", the_upper_half_of_a_number),
    ("seldom::opened_for_its_place", opened_for_its_place),
    ("seldom::left_behind_by_a_connection", left_behind_by_a_connection),
    ("seldom::another_peer_after_arrival", another_peer_after_arrival),
    ("seldom::a_name_of_no_length", a_name_of_no_length),
    ("seldom::several_datagrams_by_one_call", several_datagrams_by_one_call),
    ("seldom::received_by_an_option", received_by_an_option),
    ("seldom::sendfile_that_waits", sendfile_that_waits),
    ("seldom::made_writable_later", made_writable_later),
    ("seldom::narrow_memory", narrow_memory),
];

/// What is written to `copy` by a process that got it from another.
fn arrives(scene: &Scene<'_>, dump: &Dump, copy: &str, bytes: u64) {
    let written = step(StepKind::Written).to(copy).zones("production", "production");
    scene.sees(dump, &written.bytes(bytes).sure(Confidence::Direct));
}

/// As [`arrives`], at a receiver that only a delivery tells of: a row of the table of differences.
fn is_delivered(scene: &Scene<'_>, dump: &Dump, copy: &str, bytes: u64) {
    let ready = &scene.agent.ready;
    if ready.backend == "fentry" || !ready.missing.iter().any(|lack| lack["hook"] == "delivered") {
        return arrives(scene, dump, copy, bytes);
    }
    scene.settle(dump);
    let written = scene.agent.steps(&dump.id).into_iter().find(|s| s.kind == StepKind::Written);
    assert!(written.is_none(), "more is seen than the table says: {written:#?}");
}

/// Numbers are ints: the kernel looks at half of the register. Before 5.14 it does not, and refuses.
fn the_upper_half_of_a_number(scene: &Scene<'_>) {
    let (dump, copy) = (scene.core(), scene.path("copy"));
    let script = concat!(
        include_str!("wide.py"),
        "
x, y = os.open(a, os.O_RDONLY), os.open(b, os.O_WRONLY | os.O_CREAT)
data = ctypes.create_string_buffer(size)
high = 1 << 32 if wide(1 << 32 | 39) == os.getpid() else 0
assert wide(high | 0, x, ctypes.addressof(data), size) == size
assert wide(high | 1, y, ctypes.addressof(data), size) == size"
    );
    let by = by_python(scene, &dump, &copy, script);
    scene.sees(&dump, &step(StepKind::Read).from(&dump.path).to(&by).bytes(dump.size));
    arrives(scene, &dump, &copy, dump.size);
}

/// `O_PATH` leaves `O_TRUNC` out: nothing is emptied.
fn opened_for_its_place(scene: &Scene<'_>) {
    let (dump, copy) = (scene.core(), scene.path("copy"));
    let script = "os.close(os.open(a, os.O_PATH | os.O_TRUNC))
open(b, 'wb').write(open(a, 'rb').read())";
    by_python(scene, &dump, &copy, script);
    arrives(scene, &dump, &copy, dump.size);
    let cut = scene.agent.steps(&dump.id).into_iter().find(|s| s.kind == StepKind::Truncated);
    assert!(cut.is_none(), "{cut:#?}");
}

/// A client that has said all it has to say reads what was sent to it long after the connection is over and its port is free.
fn left_behind_by_a_connection(scene: &Scene<'_>) {
    let (dump, copy) = (scene.core(), scene.path("copy"));
    let script = "
import socket, time
server = socket.create_server(('127.0.0.1', 0))
if os.fork() == 0:
    client = socket.create_connection(server.getsockname())
    client.shutdown(socket.SHUT_WR); time.sleep(3.5)
    data = b''
    while len(data) < 50000: data += client.recv(50000 - len(data))
    open(b, 'wb').write(data); os._exit(0)
s, _ = server.accept()
while s.recv(100): pass
s.sendall(open(a, 'rb').read(50000)); s.close(); server.close()
assert os.wait()[1] == 0";
    by_python(scene, &dump, &copy, script);
    is_delivered(scene, &dump, &copy, 50_000);
}

/// Datagrams wait for a reader that has another peer by the time it reads them.
fn another_peer_after_arrival(scene: &Scene<'_>) {
    let ends =
        ["socket.AF_UNIX, lambda n: '\\0' + b + str(n)", "socket.AF_INET, lambda n: ('127.0.0.1', 0 if n else 9)"];
    for (n, ends) in ends.iter().enumerate() {
        let (dump, copy) = (scene.core(), scene.path(&format!("copy{n}")));
        let script = format!(
            "
import socket, time
family, name = {ends}
reader, other = [socket.socket(family, socket.SOCK_DGRAM) for _ in '12']
reader.bind(name(1)); other.bind(name(2))
if os.fork() == 0:
    u = socket.socket(family, socket.SOCK_DGRAM)
    u.sendto(open(a, 'rb').read(20000), reader.getsockname()); os._exit(0)
assert os.wait()[1] == 0
reader.connect(other.getsockname()); time.sleep(2.5)
open(b, 'wb').write(reader.recv(65536))"
        );
        by_python(scene, &dump, &copy, &script);
        is_delivered(scene, &dump, &copy, 20_000);
    }
}

/// A message whose name has no length goes to the peer of its socket.
fn a_name_of_no_length(scene: &Scene<'_>) {
    let (dump, port, address) = (scene.core(), port(), Internet.address(Production));
    let script = format!(
        "
import ctypes, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
at = ctypes.addressof
data = ctypes.create_string_buffer(open(a, 'rb').read(20000), 20000)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.connect(('{address}', {port}))
name = ctypes.create_string_buffer(struct.pack('<H', 2) + struct.pack('>H4s8x', 7, socket.inet_aton('127.0.0.1')))
part = ctypes.create_string_buffer(struct.pack('<QQ', at(data), 20000))
head = ctypes.create_string_buffer(struct.pack('<QI4xQQQQi4x', at(name), 0, at(part), 1, 0, 0, 0))
n = libc.sendmsg(u.fileno(), head, 0); assert n == 20000, ctypes.get_errno()"
    );
    let by = by_python(scene, &dump, "", &script);
    let sent = step(StepKind::Sent).via(Via::Udp).from(&by).destination(address, port).bytes(20_000);
    scene.sees(&dump, &sent.zones("production", "internet"));
}

/// sendmmsg(2) to one address, and recvmmsg(2): each message counts.
fn several_datagrams_by_one_call(scene: &Scene<'_>) {
    let (dump, copy) = (scene.core(), scene.path("copy"));
    let script = "
import ctypes, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
at = ctypes.addressof
def heads(data, name):
    parts = [ctypes.create_string_buffer(struct.pack('<QQ', at(data) + 5000 * n, 5000)) for n in range(6)]
    named = (at(name), 16) if name else (0, 0)
    text = b''.join(struct.pack('<QI4xQQQQi4xI4x', *named, at(p), 1, 0, 0, 0, 0) for p in parts)
    return ctypes.create_string_buffer(text, 64 * 6), parts
reader = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); reader.bind(('127.0.0.1', 0))
if os.fork() == 0:
    data = ctypes.create_string_buffer(open(a, 'rb').read(30000), 30000)
    port = reader.getsockname()[1]
    name = ctypes.create_string_buffer(struct.pack('<H', 2) + struct.pack('>H4s8x', port, socket.inet_aton('127.0.0.1')))
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    h, _ = heads(data, name)
    n = libc.syscall(307, u.fileno(), h, 6, 0); os._exit(0 if n == 6 else ctypes.get_errno())
assert os.wait()[1] == 0
room = ctypes.create_string_buffer(30000)
h, _ = heads(room, None)
n = libc.syscall(299, reader.fileno(), h, 6, 0, None); assert n == 6, ctypes.get_errno()
open(b, 'wb').write(room.raw)";
    by_python(scene, &dump, &copy, script);
    let sent = step(StepKind::Sent).via(Via::Udp).zones("production", "production");
    scene.sees(&dump, &sent.bytes(30_000).sure(Confidence::Direct));
    is_delivered(scene, &dump, &copy, 30_000);
}

/// getsockopt(2) receives: without room in an aligned mapping it copies. Before 5.11 it only maps, and recv(2) does it here.
fn received_by_an_option(scene: &Scene<'_>) {
    let (dump, copy) = (scene.core(), scene.path("copy"));
    let script = "
import ctypes, socket, struct, time
server = socket.create_server(('127.0.0.1', 0))
if os.fork() == 0:
    client = socket.create_connection(server.getsockname())
    client.sendall(open(a, 'rb').read(30000)); time.sleep(1); os._exit(0)
s, _ = server.accept(); time.sleep(0.5)
libc = ctypes.CDLL(None, use_errno=True)
room = ctypes.create_string_buffer(65536)
asked = ctypes.create_string_buffer(struct.pack('<QIIIiQiIQQII', 0, 0, 0, 0, 0, ctypes.addressof(room), 65536, 0, 0, 0, 0, 0))
length = ctypes.c_uint(64)
libc.getsockopt(s.fileno(), 6, 35, asked, ctypes.byref(length))
n = struct.unpack_from('<i', asked, 32)[0]
data = room.raw[:n] if n in range(1, 65536) else s.recv(65536)
assert len(data) == 30000, (n, len(data))
open(b, 'wb').write(data); assert os.wait()[1] == 0";
    by_python(scene, &dump, &copy, script);
    arrives(scene, &dump, &copy, 30_000);
}

/// From a socket to a pipe, begun before anything has come. Before 5.12 sendfile(2) takes no pipe, and splice(2) does it here.
fn sendfile_that_waits(scene: &Scene<'_>) {
    let (dump, copy) = (scene.core(), scene.path("copy"));
    let script = "
import socket, time
x, y = socket.socketpair()
r, w = os.pipe()
if os.fork() == 0:
    x.close(); data = b''
    while len(data) < 30000: data += os.read(r, 30000 - len(data))
    open(b, 'wb').write(data); os._exit(0)
if os.fork() == 0:
    gone = 0
    while gone < 30000:
        try: gone += os.sendfile(w, y.fileno(), None, 30000 - gone)
        except OSError: gone += os.splice(y.fileno(), w, 30000 - gone)
    os._exit(0)
time.sleep(1); x.sendall(open(a, 'rb').read(30000))
assert os.wait()[1] == 0 and os.wait()[1] == 0";
    by_python(scene, &dump, &copy, script);
    arrives(scene, &dump, &copy, 30_000);
}

/// A file is mapped to be read, and the mapping is made writable: a row of the table of differences.
fn made_writable_later(scene: &Scene<'_>) {
    let (dump, copy) = (scene.core(), scene.path("copy"));
    let script = "
import ctypes
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
open(b, 'wb').truncate(size)
y = os.open(b, os.O_RDWR)
at = libc.mmap(None, ctypes.c_long(size), 1, 1, y, ctypes.c_long(0)); os.close(y)
data = open(a, 'rb').read()
assert libc.mprotect(ctypes.c_void_p(at), ctypes.c_long(size), 3) == 0
ctypes.memmove(at, data, size)";
    let by = by_python(scene, &dump, &copy, script);
    if scene.agent.ready.backend == "fentry" {
        scene.sees(&dump, &step(StepKind::Written).via(Via::Mmap).from(&by).to(&copy));
    }
}

/// process_vm_readv(2) and vmsplice(2) by the 32-bit entry.
fn narrow_memory(scene: &Scene<'_>) {
    let (dump, copy) = (scene.core(), scene.path("copy"));
    let script = concat!(
        include_str!("narrow.py"),
        "
import struct
r, w = os.pipe(); r2, w2 = os.pipe(); r3, w3 = os.pipe()
low = below(65536, 3); mine = below(65536, 3)
holder = os.fork()
if holder == 0:
    ctypes.memmove(low, open(a, 'rb').read(30000), 30000); os.write(w, b'x'); os.read(r2, 1); os._exit(0)
if os.fork() == 0:
    data = b''
    while len(data) < 30000: data += os.read(r3, 30000 - len(data))
    open(b, 'wb').write(data); os._exit(0)
os.read(r, 1)
ctypes.memmove(mine + 40000, struct.pack('<IIII', mine, 30000, low, 30000), 16)
n = narrow(347, holder, mine + 40000, 1, mine + 40008, 1); assert n == 30000, n
n = narrow(316, w3, mine + 40000, 1, 0); assert n == 30000, n
os.write(w2, b'x')
assert os.wait()[1] == 0 and os.wait()[1] == 0"
    );
    by_python(scene, &dump, &copy, script);
    let taken = step(StepKind::Read).via(Via::Memory).bytes(30_000);
    scene.sees(&dump, &taken);
    arrives(scene, &dump, &copy, 30_000);
}
