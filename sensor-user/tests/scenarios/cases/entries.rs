//! System calls through the 32-bit entry: other numbers, other registers, narrow addresses.

use sensor_abi::flow::Via;
use sensor_user::step::{Confidence, Severity, StepKind};

use super::{Shared, copy::by_python};
use crate::harness::{
    expect::step,
    line::Line,
    scene::{SOON, Scene},
    world::Zone::{Internet, Production},
};

pub(super) const ALL: &[Shared] = &[
    ("entries::narrow_copy", narrow_copy),
    ("entries::narrow_sends", narrow_sends),
    ("entries::narrow_birth", narrow_birth),
    ("entries::narrow_and_silent", narrow_and_silent),
];

/// `low` is memory below 4 GiB, for what calls of the 32-bit entry point to.
const START: &str = concat!(
    include_str!("narrow.py"),
    "
import socket, struct
SIZE = size + 8192
low = below(SIZE, 3)
def place(data, where): ctypes.memmove(low + where, data, len(data)); return low + where
"
);

fn narrow_copy(scene: &Scene<'_>) {
    let (dump, copy) = (scene.core(), scene.path("copy"));
    let script = format!(
        "{START}
x, y = os.open(a, os.O_RDONLY), os.open(b, os.O_WRONLY | os.O_CREAT)
n = narrow(3, x, low, size); assert n == size, n
part = place(struct.pack('<IIII', low, 4096, low + 4096, size - 4096), size)
n = narrow(146, y, part, 2); assert n == size, n"
    );
    let by = by_python(scene, &dump, &copy, &script);
    scene.sees(&dump, &step(StepKind::Read).via(Via::File).from(&dump.path).to(&by).bytes(dump.size).hops(1));
    scene.sees(&dump, &step(StepKind::Written).via(Via::File).from(&by).to(&copy).bytes(dump.size).hops(2));
}

/// socketcall(2), whose arguments lie in memory, and sendfile(2).
fn narrow_sends(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 2 * dump.size);
    let address = Internet.address(Production);
    let script = format!(
        "{START}
s = socket.create_connection(('{address}', {port})); x = os.open(a, os.O_RDONLY)
assert narrow(180, x, low, size, 0, 0) == size
sent = 0
while sent < size:
    n = narrow(102, 9, place(struct.pack('<IIII', s.fileno(), low + sent, size - sent, 0), size)); assert n > 0, n
    sent += n
sent = 0
while sent < size:
    n = narrow(187, s.fileno(), x, 0, size - sent); assert n > 0, n
    sent += n"
    );
    let by = by_python(scene, &dump, "", &script);
    assert!(sink.within(SOON).success());
    let out = step(StepKind::Sent).from(&by).zones("production", "internet").destination(address, port);
    let out = out.bytes(dump.size).sure(Confidence::Direct);
    scene.sees(&dump, &out.clone().via(Via::Tcp));
    scene.sees(&dump, &out.via(Via::Sendfile));
    let alert = step(StepKind::Sent).from(&by).destination(address, port);
    scene.alerts(&dump, "dump-left-isolation", Severity::Critical, &alert);
}

/// The header of a core by writev(2) and by pwrite64(2), whose position is in two registers.
fn narrow_birth(scene: &Scene<'_>) {
    let (lies, folder) = (scene.core(), scene.path(""));
    let script = format!(
        "{START}
core = place(b'\\x7fELF\\x02\\x01\\x01' + bytes(9) + b'\\x04\\0' + bytes(46), 0)
part = place(struct.pack('<II', core, 64), 128)
for name, call in ('v', lambda f: narrow(146, f, part, 1)), ('p', lambda f: narrow(181, f, core, 64, 0, 0)):
    f = os.open(b + name, os.O_WRONLY | os.O_CREAT, 0o600); assert call(f) == 64
f = os.open(b + 'far', os.O_WRONLY | os.O_CREAT, 0o600); assert narrow(181, f, core, 64, 0, 1) == 64"
    );
    by_python(scene, &lies, &folder, &script);
    for name in ["v", "p"] {
        let path = format!("{folder}{name}");
        let born = |line: &Line| matches!(line, Line::Step(s) if s.kind == StepKind::Created && s.to == path);
        scene.agent.within(SOON, &format!("a birth in {path}"), |lines| lines.iter().any(born).then_some(()));
    }
    let far = format!("{folder}far");
    let wrong = scene.agent.steps_where(|s| s.kind == StepKind::Created && s.to == far);
    assert!(wrong.is_empty(), "4 GiB behind the beginning: {wrong:#?}");
}

/// Numbers mean other calls there: 0 to 20 are read and write here, and other things there.
fn narrow_and_silent(scene: &Scene<'_>) {
    let dump = scene.core();
    let script = format!(
        "{START}
x = os.open(a, os.O_RDONLY)
for number in 0, 1, 2, 17, 18, 19, 20, 40, 44, 46:
    if number not in (1, 2): narrow(number, x, low, 0)
assert narrow(20) == os.getpid()"
    );
    let by = by_python(scene, &dump, "", &script);
    scene.quiet(&dump);
    let read = scene.agent.steps_where(|s| s.to == by && s.dump.as_ref() == Some(&dump.id));
    assert!(read.is_empty(), "nothing was read: {read:#?}");
}
