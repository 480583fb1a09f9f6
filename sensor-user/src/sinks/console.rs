//! stdout: text for a person, or NDJSON for a program.
//!
//! A reader that stalls must not hold up anything: lines go into a buffer of 1 MiB, and a thread of its own writes
//! them. Lines that find no room are dropped and counted, and a notice says so once there is room again.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, ErrorKind, Write},
    os::fd::AsFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use crate::{
    alert::Alert,
    clock,
    ndjson::{self, Ready, Stopped},
    sinks::otlp::Notices,
    step::{Gap, Notice, Step},
};

mod text;

use text::Text;

/// Bytes that may wait for a reader.
pub const BUFFER: usize = 1 << 20;

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A few lines an alert, for a person.
    Text,
    /// One JSON object a line.
    Json,
    /// Nothing.
    None,
}

/// Prints; every call returns at once.
#[derive(Clone)]
pub struct Console {
    mode: Mode,
    steps: bool,
    text: Text,
    host: Arc<str>,
    buffer: Arc<Buffer>,
    written: Arc<Mutex<mpsc::Receiver<()>>>,
}

impl Console {
    /// Prints to stdout; steps only when `steps`, colours only when `tty`. `notices` is told of lost lines.
    pub fn start(mode: Mode, steps: bool, tty: bool, host: &str, notices: Notices) -> io::Result<Self> {
        // A descriptor of its own: no lock and no buffer that the rest of the process could wait for.
        let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Self::to(Box::new(out), mode, steps, tty, host, notices)
    }

    /// Prints to `out`.
    pub fn to(
        out: Box<dyn Write + Send>,
        mode: Mode,
        steps: bool,
        tty: bool,
        host: &str,
        notices: Notices,
    ) -> io::Result<Self> {
        let buffer = Arc::new(Buffer::default());
        let (done, written) = mpsc::channel();
        let host: Arc<str> = Arc::from(host);
        let text = Text { colour: tty };
        let writer = Writer { out, mode, text, host: Arc::clone(&host), buffer: Arc::clone(&buffer), notices };
        thread::Builder::new().name("console".into()).spawn(move || {
            let _done: mpsc::Sender<()> = done;
            writer.run();
        })?;
        Ok(Self { mode, steps, text, host, buffer, written: Arc::new(Mutex::new(written)) })
    }

    /// Prints a step, when asked for steps.
    pub fn step(&self, step: &Step) {
        if self.steps {
            self.print(|| self.text.step(step), || ndjson::step_line(step, &self.host));
        }
    }
    /// Prints an alert. `journaled` is what the journal acknowledged.
    pub fn alert(&self, alert: &Alert, journaled: bool) {
        self.print(|| self.text.alert(alert, journaled), || ndjson::alert_line(alert, &self.host, journaled));
    }
    /// Prints a gap.
    pub fn gap(&self, gap: &Gap) {
        self.print(|| self.text.gap(gap), || ndjson::gap_line(gap, &self.host));
    }
    /// Prints a notice.
    pub fn notice(&self, notice: &Notice) {
        self.print(|| self.text.notice(notice), || ndjson::notice_line(notice, &self.host));
    }
    /// Nothing is printed before [`Console::ready`]; it waits in the buffer.
    pub fn hold(&self) {
        self.buffer.lock().held = true;
    }
    /// Prints what the agent can do: the first line of a run, then what waited for it.
    pub fn ready(&self, ready: &Ready) {
        let line = self.line(|| self.text.ready(ready), || ndjson::ready_line(ready, &self.host));
        self.buffer.release(line);
    }
    /// Prints the last line of a run.
    pub fn stopped(&self, stopped: &Stopped) {
        self.print(|| Text::stopped(stopped), || ndjson::stopped_line(stopped, &self.host));
    }

    /// Lines dropped so far.
    pub fn dropped(&self) -> u64 {
        self.buffer.lock().dropped
    }

    /// Prints what waits, for at most `deadline`; true when all of it was printed. Nothing is printed after that.
    pub fn close(&self, deadline: Duration) -> bool {
        self.buffer.close();
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(written.recv_timeout(deadline), Err(mpsc::RecvTimeoutError::Disconnected))
    }

    fn print(&self, text: impl FnOnce() -> String, json: impl FnOnce() -> String) {
        if let Some(line) = self.line(text, json) {
            self.buffer.push(line);
        }
    }

    fn line(&self, text: impl FnOnce() -> String, json: impl FnOnce() -> String) -> Option<String> {
        let line = match self.mode {
            Mode::None => return None,
            Mode::Text => text(),
            Mode::Json => json(),
        };
        Some(line + "\n")
    }
}

#[derive(Default)]
struct Buffer {
    inner: Mutex<Inner>,
    filled: Condvar,
}

#[derive(Default)]
struct Inner {
    lines: VecDeque<String>,
    bytes: usize,
    /// In all, and how many of them were told.
    dropped: u64,
    told: u64,
    closed: bool,
    /// The first line has still to come.
    held: bool,
}

/// What the writer does next.
enum Next {
    Print(String),
    /// So many lines were dropped since the last time.
    Tell(u64),
    End,
}

impl Buffer {
    fn push(&self, line: String) {
        let mut inner = self.lock();
        if inner.closed || inner.bytes + line.len() > BUFFER {
            inner.dropped += 1;
            return;
        }
        inner.bytes += line.len();
        inner.lines.push_back(line);
        self.filled.notify_one();
    }

    /// The first line goes before what is there already; it always has room.
    fn release(&self, line: Option<String>) {
        let mut inner = self.lock();
        inner.held = false;
        if let Some(line) = line.filter(|_| !inner.closed) {
            inner.bytes += line.len();
            inner.lines.push_front(line);
        }
        self.filled.notify_one();
    }

    /// Lines dropped are told as soon as a line was written: then there is room again.
    fn next(&self) -> Next {
        let mut inner = self
            .filled
            .wait_while(self.lock(), |i| (i.held || i.lines.is_empty()) && !i.closed)
            .unwrap_or_else(PoisonError::into_inner);
        if inner.dropped > inner.told && inner.bytes <= BUFFER / 2 {
            let lost = inner.dropped - inner.told;
            inner.told = inner.dropped;
            return Next::Tell(lost);
        }
        match inner.lines.pop_front() {
            None => Next::End,
            Some(line) => {
                inner.bytes -= line.len();
                Next::Print(line)
            }
        }
    }

    fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Writer {
    out: Box<dyn Write + Send>,
    mode: Mode,
    text: Text,
    host: Arc<str>,
    buffer: Arc<Buffer>,
    notices: Notices,
}

impl Writer {
    fn run(mut self) {
        loop {
            let line = match self.buffer.next() {
                Next::End => return,
                Next::Print(line) => line,
                Next::Tell(lost) => self.lost(lost),
            };
            if let Err(error) = write(&mut *self.out, line.as_bytes()) {
                self.give_up(&error);
                return;
            }
        }
    }

    fn lost(&self, lines: u64) -> String {
        let text = format!("{lines} lines of output were dropped: their reader was too slow.");
        let notice = Notice { time: clock::now(), kind: "output-lost", text, dump: None, content: None };
        let line = match self.mode {
            Mode::Json => ndjson::notice_line(&notice, &self.host),
            Mode::Text | Mode::None => self.text.notice(&notice),
        };
        (self.notices)(notice);
        line + "\n"
    }

    /// The reader is gone. The agent goes on: the journal and the collector are the record.
    fn give_up(&self, error: &io::Error) {
        self.buffer.close();
        let text = format!("Output ended, nobody reads it any more: {error}.");
        (self.notices)(Notice { time: clock::now(), kind: "output-closed", text, dump: None, content: None });
    }
}

/// `write_all` that also waits for a descriptor that somebody made non-blocking.
fn write(out: &mut dyn Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(10)),
            Err(e) => return Err(e),
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{PipeReader, Read},
        time::Instant,
    };

    use super::*;
    use crate::samples;

    fn console(mode: Mode, steps: bool) -> (Console, PipeReader, Arc<Mutex<Vec<Notice>>>) {
        let (reader, writer) = io::pipe().unwrap();
        let seen: Arc<Mutex<Vec<Notice>>> = Arc::default();
        let notices = Arc::clone(&seen);
        let notices: Notices = Arc::new(move |n| notices.lock().unwrap().push(n));
        (Console::to(Box::new(writer), mode, steps, false, "h1", notices).unwrap(), reader, seen)
    }

    fn rest(mut reader: PipeReader) -> String {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn json_is_a_line_each_and_steps_only_when_asked() {
        for steps in [false, true] {
            let (console, reader, _) = console(Mode::Json, steps);
            console.step(&samples::sent());
            console.alert(&samples::alert(), true);
            console.gap(&samples::gap());
            console.notice(&samples::identified());
            assert!(console.close(Duration::from_secs(10)));
            let text = rest(reader);
            let events: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
            let events: Vec<_> = events.iter().map(|e| e["event"].as_str().unwrap()).collect();
            assert_eq!(
                events,
                if steps { vec!["step", "alert", "gap", "notice"] } else { vec!["alert", "gap", "notice"] }
            );
        }
    }

    #[test]
    fn what_comes_before_ready_is_printed_after_it() {
        let (console, reader, _) = console(Mode::Json, false);
        console.hold();
        console.notice(&samples::identified());
        thread::sleep(Duration::from_millis(20));
        console.ready(&samples::ready());
        assert!(console.close(Duration::from_secs(10)));
        let text = rest(reader);
        let events: Vec<_> = text.lines().map(|l| &l[..l.find(",\"time").unwrap()]).collect();
        assert_eq!(events, [r#"{"v":1,"event":"ready""#, r#"{"v":1,"event":"notice""#]);
    }

    #[test]
    fn none_prints_nothing() {
        let (console, reader, _) = console(Mode::None, true);
        console.alert(&samples::alert(), true);
        assert!(console.close(Duration::from_secs(10)));
        assert_eq!(rest(reader), "");
    }

    #[test]
    fn a_stalled_reader_costs_lines_and_no_time() {
        let (console, reader, seen) = console(Mode::Json, false);
        let alert = samples::alert();
        let begun = Instant::now();
        for _ in 0..2000 {
            console.alert(&alert, true);
        }
        assert!(begun.elapsed() < Duration::from_secs(30));
        let dropped = console.dropped();
        assert!(dropped > 0 && dropped < 2000, "{dropped}");
        assert!(!console.close(Duration::from_millis(50)), "nobody reads");
        let lines: Vec<serde_json::Value> = rest(reader).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let alerts = lines.iter().filter(|l| l["event"] == "alert").count() as u64;
        assert_eq!(alerts + dropped, 2000);
        let notice = lines.iter().find(|l| l["event"] == "notice").unwrap();
        assert_eq!(notice["kind"], "output-lost");
        assert!(notice["text"].as_str().unwrap().starts_with(&format!("{dropped} lines")), "{notice}");
        assert_eq!(seen.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_reader_that_goes_away_is_said_once() {
        let (console, reader, seen) = console(Mode::Json, false);
        drop(reader);
        for _ in 0..10 {
            console.alert(&samples::alert(), true);
        }
        assert!(console.close(Duration::from_secs(10)));
        let seen = seen.lock().unwrap();
        assert_eq!((seen.len(), seen[0].kind), (1, "output-closed"));
    }
}
