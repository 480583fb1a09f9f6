use std::process::Command;

use super::*;
use crate::dump::testing::{Guard, core, gcore, have, open, sh};

fn look(path: &Path) -> Content {
    content_of(&open(path), Limits::default())
}

fn id(path: &Path) -> Id {
    match look(path).outcome {
        Outcome::Known(id) => id,
        other => panic!("{}: {other:?}", path.display()),
    }
}

/// Sizes of 64 bits in the local header.
const ZIP64: &str = "python3 -c \"
import zipfile
z=zipfile.ZipFile('out','w',8)
with z.open('core','w',force_zip64=True) as f: f.write(open('core','rb').read())
z.close()\"";
/// A member before it whose descriptor has sizes of 64 bits, all as a composer writes to a pipe.
const ZIP64_STREAM: &str = "python3 -c \"
import zipfile,sys
z=zipfile.ZipFile(sys.stdout.buffer,'w',8)
with z.open('note','w',force_zip64=True) as f: f.write(b'note')
z.write('core')
z.close()\" | cat > out";

/// A copy, packed by every tool in every way: one content. (command that makes `out`, tools, layers)
const PACKED: &[(&str, &[&str], &[Packing])] = &[
    ("cp core out", &["cp"], &[]),
    ("cp --sparse=always core out", &["cp"], &[]),
    ("gzip -c core > out", &["gzip"], &[Packing::Gzip]),
    ("gzip -1c core > out; head -c 512 /dev/zero >> out", &["gzip"], &[Packing::Gzip]),
    ("head -c 70000 core | gzip > out; tail -c +70001 core | gzip >> out", &["gzip"], &[Packing::Gzip]),
    ("zstd -qc core > out", &["zstd"], &[Packing::Zstd]),
    ("zstd -q --long=27 -c core > out", &["zstd"], &[Packing::Zstd]),
    ("xz -1c core > out", &["xz"], &[Packing::Xz]),
    ("lz4 -qc core > out", &["lz4"], &[Packing::Lz4]),
    ("head -c 70000 core | lz4 -q > out; tail -c +70001 core | lz4 -q >> out", &["lz4"], &[Packing::Lz4]),
    ("bzip2 -1c core > out", &["bzip2"], &[Packing::Bzip2]),
    ("zip -1q x.zip core; mv x.zip out", &["zip"], &[Packing::Zip]),
    ("zip -0q x.zip core; mv x.zip out", &["zip"], &[Packing::Zip]),
    ("cat core | zip -1q - - > out", &["zip"], &[Packing::Zip]),
    ("echo note | zip -1q - - > x.zip; zip -1q x.zip core; mv x.zip out", &["zip"], &[Packing::Zip]),
    (ZIP64, &["python3"], &[Packing::Zip]),
    (ZIP64_STREAM, &["python3"], &[Packing::Zip]),
    ("tar cf out core", &["tar"], &[Packing::Tar]),
    ("tar -Scf out core", &["tar"], &[Packing::Tar]),
    ("tar -S --format=posix -cf out core", &["tar"], &[Packing::Tar]),
    ("tar --format=posix -cf out core", &["tar"], &[Packing::Tar]),
    ("echo a > note; mkdir -p d; ln -sf a d/l; tar cf out note d core", &["tar"], &[Packing::Tar]),
    ("mkdir -p d/$(printf '%0120d' 7); cp core d/$(printf '%0120d' 7)/core; tar cf out d", &["tar"], &[Packing::Tar]),
    ("tar czf out core", &["tar", "gzip"], &[Packing::Gzip, Packing::Tar]),
    ("tar -I zstd -Scf out core", &["tar", "zstd"], &[Packing::Zstd, Packing::Tar]),
    ("gzip -c core > core.gz; tar cf out core.gz", &["tar", "gzip"], &[Packing::Tar, Packing::Gzip]),
    ("zip -1q x.zip core; gzip -c x.zip > out", &["zip", "gzip"], &[Packing::Gzip, Packing::Zip]),
    ("cat core | zip -1q - - | gzip > out", &["zip", "gzip"], &[Packing::Gzip, Packing::Zip]),
    ("zstd -qc core | gzip | xz -1 > out", &["zstd", "gzip", "xz"], &[Packing::Xz, Packing::Gzip, Packing::Zstd]),
];

#[test]
fn one_dump_packed_in_any_way_has_one_content() {
    let Some((dir, path)) = core() else { return };
    let (expected, size) = (id(&path), path.metadata().unwrap().len());
    for (script, tools, layers) in PACKED {
        if !have(tools) {
            continue;
        }
        sh(dir.path(), &format!("rm -rf out d x.zip; {script}"));
        let got = look(&dir.path().join("out"));
        let wanted = Content {
            outcome: Outcome::Known(expected),
            format: Some(Format::ElfCore),
            size: Some(size),
            layers: layers.to_vec(),
        };
        assert_eq!(got, wanted, "{script}");
    }
}

#[test]
fn two_cores_of_one_process_are_two_contents() {
    if !have(&["gdb", "python3"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script =
        "import os,time\nb=bytearray(8<<20)\nprint('r',flush=True)\nwhile 1: b[:]=os.urandom(len(b)); time.sleep(.01)";
    let child = Guard::ready(Command::new("python3").args(["-c", script]));
    let (one, two) = (dir.path().join("1"), dir.path().join("2"));
    gcore(child.pid(), &one);
    std::thread::sleep(Duration::from_millis(100));
    gcore(child.pid(), &two);
    assert_ne!(id(&one), id(&two));
}

#[test]
fn two_heap_snapshots_of_one_program_share_a_head_and_are_two_contents() {
    if !have(&["node"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = "const v8=require('v8'); v8.writeHeapSnapshot('1'); globalThis.s='secret '.repeat(9); v8.writeHeapSnapshot('2')";
    sh(dir.path(), &format!("node -e \"{script}\""));
    let [one, two] = ["1", "2"].map(|n| dir.path().join(n));
    assert_eq!(look(&one).format, Some(Format::HeapSnapshot));
    assert_ne!(id(&one), id(&two));
}

#[test]
fn a_java_heap_dump_is_known_plain_and_packed_by_the_jvm() {
    if !have(&["java", "jcmd"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let source = "class Main { public static void main(String[] a) throws Exception { System.out.println(1); Thread.sleep(60000); } }";
    std::fs::write(dir.path().join("Main.java"), source).unwrap();
    let child =
        Guard::ready(Command::new("java").args(["-Xmx64m", "-Xshare:auto", "Main.java"]).current_dir(dir.path()));
    let path = |name: &str| dir.path().join(name);
    sh(dir.path(), &format!("jcmd {} GC.heap_dump {}", child.pid(), path("plain").display()));
    sh(dir.path(), &format!("jcmd {} GC.heap_dump -gz=1 {}", child.pid(), path("packed").display()));
    drop(child);
    sh(dir.path(), "gzip -dc packed > unpacked; gzip -c plain > again");
    assert_eq!(look(&path("plain")).format, Some(Format::Hprof));
    let packed = look(&path("packed"));
    assert_eq!((packed.format, packed.layers), (Some(Format::Hprof), vec![Packing::Gzip]));
    assert_eq!(id(&path("packed")), id(&path("unpacked")));
    assert_eq!(id(&path("plain")), id(&path("again")));
    assert_ne!(id(&path("plain")), id(&path("packed")), "two dumps");
    let head = std::fs::read(path("packed")).unwrap();
    assert_eq!(format::packed_dump(&head), Some(Format::Hprof));
}

#[test]
fn what_is_no_dump_has_no_content() {
    let dir = tempfile::tempdir().unwrap();
    sh(dir.path(), "echo text > a; gzip -c a > b; tar cf c a; head -c 1000000 /dev/zero > d; : > e; zip -q f a");
    for name in ["a", "b", "c", "d", "e", "f.zip"] {
        assert_eq!(look(&dir.path().join(name)).outcome, Outcome::Absent(Absence::NoDump), "{name}");
    }
    assert_eq!(look(&std::env::current_exe().unwrap()).outcome, Outcome::Absent(Absence::NoDump));
}

#[test]
fn a_bare_header_says_too_little() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("core");
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x04\0".to_vec();
    bytes.resize(300_000, 0);
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(look(&path).outcome, Outcome::Absent(Absence::TooLittle));
    assert_eq!(look(&path).format, Some(Format::ElfCore), "it is a dump all the same");
    sh(dir.path(), "gzip core");
    assert_eq!(look(&dir.path().join("core.gz")).outcome, Outcome::Absent(Absence::TooLittle));
}

#[test]
fn a_byte_changed_in_the_tail_changes_the_content_and_the_size_counts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d");
    let mut bytes = b"JAVA PROFILE 1.0.2\0".to_vec();
    bytes.extend((0..400_000u32).flat_map(u32::to_le_bytes));
    let write = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        id(&path)
    };
    let first = write(&bytes);
    *bytes.last_mut().unwrap() ^= 1;
    let second = write(&bytes);
    bytes.push(0);
    let third = write(&bytes);
    assert!(first != second && second != third && first != third);
    let small = write(&bytes[..3000]);
    assert_ne!(small, write(&bytes[..3001]));
}

#[test]
fn the_blocks_lie_in_the_dump_whatever_its_size() {
    for size in [0, 1, 4095, 4096, 4097, 65_536, 1 << 40, u64::MAX] {
        let starts = block_starts(size);
        assert!(starts.iter().all(|s| *s <= size.saturating_sub(BLOCK as u64)), "{size}");
        assert_eq!(starts[BLOCKS - 1], size.saturating_sub(BLOCK as u64));
    }
}

/// Fed in pieces of any length, a stream gives the sample that reading at offsets gives.
#[test]
fn feeding_is_the_same_as_reading() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d");
    for size in [0usize, 5, 4096, 5000, 65_536, 300_001] {
        let bytes: Vec<u8> = (0..size).map(|i| (i * 7 + i / 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let read = plain(&open(&path), size as u64).unwrap();
        for piece in [1, 4096, 10_007] {
            let mut fed = Sample::new(Some(size as u64));
            bytes.chunks(piece).for_each(|c| fed.feed(c));
            assert_eq!(fed, read, "{size} in {piece}");
        }
    }
}

#[test]
fn limits_end_bombs_and_what_is_too_much() {
    let dir = tempfile::tempdir().unwrap();
    sh(
        dir.path(),
        "(printf 'JAVA PROFILE 1.0.2\\0'; seq 20000; head -c 300000000 /dev/zero) > d; gzip -c d | gzip > dd; gzip -c d > g; cp g t; truncate -s 5000 t",
    );
    let look = |name: &str, limits| content_of(&open(&dir.path().join(name)), limits).outcome;
    let stopped = |stop| Outcome::Failed(Failure::Stopped(stop));
    let limits = Limits::default();
    assert!(matches!(look("dd", limits), Outcome::Known(_)), "sparse dumps pack well");
    assert_eq!(look("dd", Limits { ratio: 10, ..limits }), stopped(Stop::TooDense));
    assert_eq!(look("g", Limits { bytes: 1 << 20, ..limits }), stopped(Stop::TooLarge));
    assert_eq!(look("g", Limits { time: Duration::ZERO, ..limits }), stopped(Stop::TooSlow));
    assert_eq!(look("dd", Limits { depth: 1, ..limits }), stopped(Stop::TooDeep));
    assert_eq!(look("t", limits), Outcome::Failed(Failure::Cut));
    sh(dir.path(), "echo x > n; cp n o; tar cf m n o d");
    assert_eq!(look("m", Limits { members: 2, ..limits }), stopped(Stop::TooMany));
}

/// Archives with bytes changed end in some outcome, soon, without a panic.
#[test]
fn broken_archives_never_panic() {
    if !have(&["tar", "zip", "gzip", "zstd", "xz", "lz4", "bzip2"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    sh(
        dir.path(),
        "(printf 'JAVA PROFILE 1.0.2\\0'; seq 500) > d; truncate -s 100000 d; echo end >> d; echo n > n
         tar cf a n d; tar -Scf b n d; tar -S --format=posix -cf c n d; zip -q e.zip n d; cat d | zip -q - - > f
         gzip -c d > g; zstd -qc d > h; xz -c d > i; lz4 -qc d > j; bzip2 -c d > k",
    );
    let limits = Limits { time: Duration::from_secs(5), bytes: 64 << 20, ..Limits::default() };
    for name in ["a", "b", "c", "e.zip", "f", "g", "h", "i", "j", "k"] {
        let good = std::fs::read(dir.path().join(name)).unwrap();
        let path = dir.path().join("bad");
        let mut seed = 7u32;
        for _ in 0..300 {
            let mut bad = good.clone();
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = seed as usize % bad.len().min(4096);
            bad[at] = (seed >> 24) as u8;
            if seed & 0x700 == 0 {
                bad.truncate(at);
            }
            std::fs::write(&path, &bad).unwrap();
            content_of(&open(&path), limits);
        }
    }
}

#[test]
fn an_id_depends_on_every_part_of_the_birth() {
    let key = CarrierKey { id: 1, dev: 2, generation: 3 };
    let base = id_of("host", "boot", &key, 5);
    assert_eq!(base, id_of("host", "boot", &key, 5), "a replay repeats it");
    let others = [
        id_of("host2", "boot", &key, 5),
        id_of("host", "boot2", &key, 5),
        id_of("host", "boot", &CarrierKey { id: 9, ..key }, 5),
        id_of("host", "boot", &CarrierKey { dev: 9, ..key }, 5),
        id_of("host", "boot", &CarrierKey { generation: 9, ..key }, 5),
        id_of("host", "boot", &key, 9),
        id_of("host", "boot", &CarrierKey::task(3, 1), 5),
    ];
    assert!(others.iter().all(|o| *o != base));
}

#[test]
fn a_host_has_an_id_in_every_case() {
    let root = tempfile::tempdir().unwrap();
    let path = |f: &str| root.path().join(f);
    sh(root.path(), "mkdir -p etc proc/sys/kernel sys/class/dmi/id; echo box > proc/sys/kernel/hostname");
    let by_name = host_id(root.path());
    assert_eq!(by_name.len(), 32);
    std::fs::write(path("sys/class/dmi/id/product_uuid"), "4C4C4544-0042-4810-8054-B4C04F4E5A32\n").unwrap();
    assert_eq!(host_id(root.path()), "4c4c4544-0042-4810-8054-b4c04f4e5a32");
    std::fs::write(path("etc/machine-id"), "uninitialized\n").unwrap();
    assert_eq!(host_id(root.path()).len(), 36);
    std::fs::write(path("etc/machine-id"), "0123456789abcdef0123456789abcdef\n").unwrap();
    assert_eq!(host_id(root.path()), "0123456789abcdef0123456789abcdef");
    assert!(!host_id(Path::new("/")).is_empty() && boot_id().len() == 36);
}
