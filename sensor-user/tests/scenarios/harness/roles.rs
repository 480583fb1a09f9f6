//! Small parts that this program plays itself, called by another name: they need no tool, and their sizes are known.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::OnceLock,
    time::SystemTime,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Resource, Rlimit, setrlimit},
};

const NAMES: [&str; 6] = ["guardian", "victim", "sink", "counter", "collector", "early"];

/// The program under one of its names; made once, below TMPDIR.
pub(crate) fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("dt-roles-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let this = std::env::current_exe().unwrap();
        for name in NAMES {
            std::os::unix::fs::symlink(&this, folder.join(name)).unwrap();
        }
        folder
    });
    folder.join(name)
}

/// Plays the part that this program was called by; none for its own name.
pub(crate) fn play(name: &str) -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match name {
        "guardian" => guardian(),
        "victim" => victim(&arguments),
        "sink" => return Some(sink(&arguments)),
        "counter" => counter(&arguments),
        "collector" => collector(&arguments),
        "early" => early(&arguments),
        _ => return None,
    }
    Some(ExitCode::SUCCESS)
}

/// Input that is waited for outside of read(2): who has waited in one since before a dump is a gap.
struct Patient;

impl Read for Patient {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let input = rustix::stdio::stdin();
        poll(&mut [PollFd::new(&input, PollFlags::IN)], None)?;
        Ok(rustix::io::read(input, bytes)?)
    }
}

/// Keeps commands until its input ends, then runs those that were not taken back, the last first.
fn guardian() {
    let mut commands = BTreeMap::new();
    for line in BufReader::new(Patient).lines().map_while(Result::ok) {
        if let Some((number, command)) = line.strip_prefix('+').and_then(|l| l.split_once(' ')) {
            commands.insert(number.parse::<u64>().unwrap_or(0), command.to_owned());
        } else if let Some(number) = line.strip_prefix('-') {
            commands.remove(&number.parse().unwrap_or(0));
        }
    }
    for command in commands.values().rev() {
        let _ = Command::new("sh").args(["-c", command]).status();
    }
    if let Some(folder) = std::env::args().next().and_then(|a| Some(PathBuf::from(a).parent()?.to_owned())) {
        let _ = fs::remove_dir_all(folder);
    }
}

/// Bytes that no compressor shrinks.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ u64::from(std::process::id());
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..bytes.div_ceil(8)).flat_map(|_| word().to_le_bytes()).collect()
}

/// `victim BYTES [GATE]`: holds so many bytes of noise in memory, waits until the file GATE is there, and crashes.
fn victim(arguments: &[String]) {
    let noise = noise(arguments[0].parse().unwrap());
    let gate = arguments.get(1).filter(|gate| gate.starts_with('/'));
    while gate.is_some_and(|gate| !Path::new(gate).exists()) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let unlimited = Rlimit { current: None, maximum: None };
    setrlimit(Resource::Core, unlimited).unwrap();
    std::hint::black_box(&noise);
    std::process::abort();
}

/// `sink ADDRESS:PORT BYTES [CONNECTIONS]`: a web server and TCP receiver that keeps nothing. It ends well when the
/// connections together have brought at least so many bytes.
fn sink(arguments: &[String]) -> ExitCode {
    let listener = TcpListener::bind(&arguments[0]).unwrap();
    let wanted: u64 = arguments[1].parse().unwrap();
    let connections: usize = arguments.get(2).map_or(1, |n| n.parse().unwrap());
    let sum: u64 = listener.incoming().take(connections).map(|stream| swallow(&stream.unwrap())).sum();
    if sum >= wanted { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// `counter ADDRESS:PORT FILE`: a receiver that writes down how many bytes come with each read, by any connection.
fn counter(arguments: &[String]) {
    let listener = TcpListener::bind(&arguments[0]).unwrap();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut file = fs::File::options().create(true).append(true).open(&arguments[1]).unwrap();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                file.write_all(format!("{n}\n").as_bytes()).unwrap();
            }
        });
    }
}

/// `early ADDRESS:PORT SAID [CORE]`: connects, makes SAID, and sends the first bytes of CORE as soon as it has some, at
/// the time that SAID gets. Without CORE it is a handler, and reads its input to the end.
fn early(arguments: &[String]) {
    let mut out = TcpStream::connect(&arguments[0]).unwrap();
    fs::write(&arguments[1], "").unwrap();
    let core = arguments.get(2).filter(|core| core.starts_with('/'));
    let mut input: Box<dyn Read> = match core {
        None => Box::new(std::io::stdin().lock()),
        Some(core) => Box::new(std::iter::repeat_with(|| fs::File::open(core)).find_map(Result::ok).unwrap()),
    };
    let mut buffer = [0; 4096];
    let bytes = std::iter::repeat_with(|| input.read(&mut buffer).unwrap()).find(|bytes| *bytes > 0).unwrap();
    out.write_all(&buffer[..bytes]).unwrap();
    let now = SystemTime::now();
    std::io::copy(&mut input, &mut std::io::sink()).unwrap();
    // Written bytes would be the dump's.
    fs::File::options().write(true).open(&arguments[1]).unwrap().set_modified(now).unwrap();
}

/// `collector ADDRESS:PORT FILE`: takes what is posted, and keeps the bodies.
fn collector(arguments: &[String]) {
    let listener = TcpListener::bind(&arguments[0]).unwrap();
    let file = fs::File::create(&arguments[1]).unwrap();
    for stream in listener.incoming() {
        let (stream, file) = (stream.unwrap(), file.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut reader = BufReader::new(&stream);
            while post(&mut reader, &file).is_some() {}
        });
    }
}

/// One request of a connection that stays.
fn post(reader: &mut BufReader<&TcpStream>, mut file: &fs::File) -> Option<()> {
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line).ok()? > 2 {
        let lower = line.to_ascii_lowercase();
        length = lower.strip_prefix("content-length:").and_then(|v| v.trim().parse().ok()).unwrap_or(length);
        line.clear();
    }
    if line.is_empty() {
        return None;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    file.write_all(&body).ok()?;
    let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
    reader.get_mut().write_all(answer).ok()
}

/// Reads a connection to its end; answers when it speaks HTTP.
fn swallow(stream: &TcpStream) -> u64 {
    let mut reader = BufReader::with_capacity(1 << 16, stream);
    let http = reader.fill_buf().is_ok_and(|b| [b"PUT ".as_slice(), b"POST"].iter().any(|v| b.starts_with(v)));
    if !http {
        return std::io::copy(&mut reader, &mut std::io::sink()).unwrap_or(0);
    }
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
        let lower = line.to_ascii_lowercase();
        length = lower.strip_prefix("content-length:").and_then(|v| v.trim().parse().ok()).unwrap_or(length);
        if lower.starts_with("expect:") {
            let _ = (&*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        line.clear();
    }
    let got = std::io::copy(&mut reader.take(length), &mut std::io::sink()).unwrap_or(0);
    let _ = (&*stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    got
}
