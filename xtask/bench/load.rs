//! The workloads of `cargo xtask bench native`: each line on stdin is a number of milliseconds, and is answered by one line
//! with the nanoseconds that each operation took; with `empty` behind the number, two programs stand meanwhile at each
//! system call's entry and exit that do nothing. It is compiled with optimisation and needs nothing but `std`.
//!
//! `load FOLDER HOW FUNCTION` has an empty program on a kernel function meanwhile, by `fentry` or `kprobe`; when that cannot
//! be, it says why and ends.
//!
//! `load --nothing` ends at once: it is what the workload `fork+exec` executes.
//!
//! One measurement is the least of several short batches: what disturbs a batch only ever makes it longer.

use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io::{self, BufRead, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

mod empty;

unsafe extern "C" {
    fn fork() -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(status: i32) -> !;
    fn sendfile(to: i32, from: i32, offset: *mut i64, count: usize) -> isize;
}

/// One measurement is so many batches.
const BATCHES: u32 = 5;

type Work = Box<dyn FnMut() -> io::Result<()>>;

fn main() -> io::Result<()> {
    if std::env::args().nth(1).as_deref() == Some("--nothing") {
        return Ok(());
    }
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("usage: load FOLDER [fentry|kprobe FUNCTION]"));
    if let (Some(how), Some(function)) = (std::env::args().nth(2), std::env::args().nth(3))
        && let Err(why) = empty::attach(&how, &function)
    {
        println!("none: {why}");
        return Ok(());
    }
    let mut all = workloads(&folder)?;
    let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
    println!("{}", names.join("\t"));
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (millis, empty) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let time = Duration::from_millis(millis.parse().expect("milliseconds"));
        let _programs = (empty == "empty").then(empty::at_system_calls).transpose()?;
        let took: Vec<_> =
            all.iter_mut().map(|(_, work)| Ok(measure(work, time)?.to_string())).collect::<io::Result<_>>()?;
        println!("{}", took.join("\t"));
    }
    Ok(())
}

/// Nanoseconds of one operation, from about `time` of work.
fn measure(work: &mut Work, time: Duration) -> io::Result<f64> {
    let first = batch(work, 1)?.max(batch(work, 8)? / 8.0).max(1.0);
    let count = (time.as_nanos() as f64 / f64::from(BATCHES) / first).max(1.0) as u64;
    (0..BATCHES).try_fold(f64::MAX, |least, _| Ok(least.min(batch(work, count)? / count as f64)))
}

fn batch(work: &mut Work, count: u64) -> io::Result<f64> {
    let start = Instant::now();
    for _ in 0..count {
        work()?;
    }
    Ok(start.elapsed().as_nanos() as f64)
}

fn workloads(folder: &Path) -> io::Result<Vec<(&'static str, Work)>> {
    let cached = folder.join("cached");
    fs::write(&cached, [7; 1 << 16])?;
    Ok(vec![
        ("getpid", Box::new(getpid)),
        ("read 1 B", read(File::open("/dev/zero")?)),
        ("write 1 B", write(OpenOptions::new().write(true).open("/dev/null")?)),
        ("pread 4 KiB", pread(File::open(&cached)?)),
        ("open+close", open(cached.clone())),
        ("pipe ping-pong", pipes()?),
        ("unix ping-pong", unix()?),
        ("TCP ping-pong", tcp()?),
        ("sendfile 4 KiB", send_file(File::open(cached)?, OpenOptions::new().write(true).open("/dev/null")?)),
        ("append 64 B", append(folder.join("appended"))?),
        ("create+unlink", create(folder.join("created"))),
        ("fork+exit", Box::new(fork_exit)),
        ("fork+exec", exec(std::env::current_exe()?)),
    ])
}

fn getpid() -> io::Result<()> {
    black_box(std::process::id());
    Ok(())
}

fn read(mut file: File) -> Work {
    Box::new(move || file.read_exact(&mut [0; 1]))
}

fn write(mut file: File) -> Work {
    Box::new(move || file.write_all(b"x"))
}

fn pread(file: File) -> Work {
    let mut buffer = [0; 4096];
    Box::new(move || file.read_exact_at(black_box(&mut buffer), 8192))
}

fn open(path: PathBuf) -> Work {
    Box::new(move || File::open(&path).map(drop))
}

/// A byte to another thread and back: two writes, two reads, two switches.
fn ping_pong(
    (mut ours, theirs): (impl Read + 'static, impl Write + Send + 'static),
    (back, mut forth): (impl Read + Send + 'static, impl Write + 'static),
) -> Work {
    thread::spawn(move || echo(back, theirs));
    Box::new(move || {
        forth.write_all(b"x")?;
        ours.read_exact(&mut [0; 1])
    })
}

fn echo(mut from: impl Read, mut to: impl Write) {
    let mut byte = [0; 1];
    while from.read_exact(&mut byte).is_ok() && to.write_all(&byte).is_ok() {}
}

fn pipes() -> io::Result<Work> {
    Ok(ping_pong(io::pipe()?, io::pipe()?))
}

fn unix() -> io::Result<Work> {
    let (ours, theirs) = UnixStream::pair()?;
    Ok(ping_pong((ours.try_clone()?, theirs.try_clone()?), (theirs, ours)))
}

fn tcp() -> io::Result<Work> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let ours = TcpStream::connect(listener.local_addr()?)?;
    let (theirs, _) = listener.accept()?;
    ours.set_nodelay(true)?;
    theirs.set_nodelay(true)?;
    Ok(ping_pong((ours.try_clone()?, theirs.try_clone()?), (theirs, ours)))
}

fn send_file(from: File, to: File) -> Work {
    Box::new(move || {
        let mut offset = 8192;
        // SAFETY: the offset is written while the call runs.
        match unsafe { sendfile(to.as_raw_fd(), from.as_raw_fd(), &raw mut offset, 4096) } {
            4096 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    })
}

fn exec(program: PathBuf) -> Work {
    Box::new(move || {
        let status = Command::new(&program).arg("--nothing").status()?;
        if status.success() { Ok(()) } else { Err(io::ErrorKind::Other.into()) }
    })
}

/// The file is cut before it grows large.
fn append(path: PathBuf) -> io::Result<Work> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    let mut size = 0;
    Ok(Box::new(move || {
        size += 64;
        if size > 1 << 24 {
            file.set_len(0)?;
            size = 64;
        }
        file.write_all(&[7; 64])
    }))
}

fn create(path: PathBuf) -> Work {
    Box::new(move || {
        drop(File::create(&path)?);
        fs::remove_file(&path)
    })
}

fn fork_exit() -> io::Result<()> {
    // SAFETY: the child makes one call that is allowed after fork in a process with threads, and never returns.
    let pid = unsafe {
        match fork() {
            0 => _exit(0),
            pid => pid,
        }
    };
    // SAFETY: no status is asked for.
    if pid < 0 || unsafe { waitpid(pid, std::ptr::null_mut(), 0) } != pid {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
