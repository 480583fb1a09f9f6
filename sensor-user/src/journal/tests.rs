use std::{fs, os::unix::fs::DirBuilderExt, sync::mpsc::channel, time::Instant};

use super::{
    segment::{HEAD, Segment},
    *,
};
use crate::{
    ndjson,
    otlp::{Attributes, Encoder, Identity},
    samples,
    step::StepKind,
};

mod ends;
mod losses;
mod room;

const HOST: &str = "h1";

fn encoder() -> Encoder {
    let identity = Identity { host_id: HOST.into(), host_name: "host".into(), version: "0.1.0".into() };
    Encoder::new(&Attributes::new(&identity, |_| None), "0.1.0")
}

struct Bench {
    _base: tempfile::TempDir,
    dir: PathBuf,
    reports: Arc<Mutex<Vec<Report>>>,
}

impl Bench {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("journal");
        fs::DirBuilder::new().mode(0o700).create(&dir).unwrap();
        Self { _base: base, dir, reports: Arc::default() }
    }
    fn path(&self) -> &Path {
        &self.dir
    }
    fn options(&self) -> Options {
        let reports = Arc::clone(&self.reports);
        let report: Reporter = Arc::new(move |r| reports.lock().unwrap().push(r));
        Options { gap_window: Duration::from_millis(20), ..Options::new(self.path(), HOST, encoder(), report) }
    }
    fn open(&self) -> (Journal, OpenReport) {
        Journal::open(self.options()).unwrap()
    }
    /// Waits for a gap with this cause; gives the sum of its counts so far.
    fn gap(&self, cause: &str) -> u64 {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let reports = self.reports.lock().unwrap();
            let counts = reports.iter().filter_map(|r| match r {
                Report::Gap(gap) if gap.cause == cause => Some(gap.count),
                _ => None,
            });
            let sum: u64 = counts.sum();
            drop(reports);
            if sum > 0 {
                return sum;
            }
            assert!(Instant::now() < deadline, "no gap {cause}");
            thread::sleep(Duration::from_millis(5));
        }
    }
    fn frames(&self) -> Vec<Frame> {
        read(self.path())
            .map(|item| match item.unwrap() {
                Item::Frame(frame) => frame,
                Item::Corrupt(at) => panic!("corrupt at {at}"),
            })
            .collect()
    }
    fn newest(&self) -> PathBuf {
        let (number, _) = *segment::list(self.path()).unwrap().last().unwrap();
        segment::path(self.path(), number)
    }
}

fn close(journal: Journal) -> Stats {
    journal.close(Duration::from_secs(30))
}

fn notice(number: usize) -> Notice {
    Notice { text: format!("notice {number}"), ..samples::identified() }
}

/// Numbers of the notices that can be read, and how often a part could not.
fn readable(dir: &Path) -> (Vec<usize>, usize) {
    let (mut numbers, mut corrupt) = (Vec::new(), 0);
    for item in read(dir) {
        match item.unwrap() {
            Item::Frame(frame) if frame.kind == Kind::Notice => {
                let line: serde_json::Value = serde_json::from_slice(&frame.payload).unwrap();
                let text = line["text"].as_str().unwrap();
                numbers.extend(text.strip_prefix("notice ").map(|n| n.parse::<usize>().unwrap()));
            }
            Item::Frame(_) => {}
            Item::Corrupt(_) => corrupt += 1,
        }
    }
    (numbers, corrupt)
}

#[test]
fn everything_comes_back_in_order_and_byte_for_byte() {
    let bench = Bench::new();
    let (journal, report) = bench.open();
    assert_eq!(report, OpenReport { reserves: true, ..OpenReport::default() });
    let handle = journal.handle();
    let birth = Arc::new(samples::step(StepKind::Created, "app[7]", "core.7", "birth"));
    let alert = Arc::new(samples::alert());
    let (sender, acks) = channel();
    handle.step(Arc::clone(&birth));
    handle.alert(Arc::clone(&alert), move |journaled| sender.send(journaled).unwrap());
    handle.gap(&samples::gap());
    handle.notice(&samples::identified());
    assert!(acks.recv_timeout(Duration::from_secs(10)).unwrap());
    let stats = close(journal);
    assert_eq!((stats.records, stats.queued, stats.lost_steps, stats.lost_records), (4, 0, 0, 0));
    let frames = bench.frames();
    let kinds: Vec<_> = frames.iter().map(|f| f.kind).collect();
    assert_eq!(kinds, [Kind::Step, Kind::Spans, Kind::Alert, Kind::AlertLogs, Kind::Gap, Kind::GapLogs, Kind::Notice]);
    assert!(frames.iter().all(|f| f.format == FORMAT));
    assert_eq!(frames[0].payload, ndjson::step_line(&birth, HOST).into_bytes());
    assert_eq!(frames[2].payload, ndjson::alert_line(&alert, HOST, true).into_bytes());
    assert_eq!(frames[3].payload, encoder().alert(&alert, true));
    assert_eq!(frames[4].payload, ndjson::gap_line(&samples::gap(), HOST).into_bytes());
    assert_eq!(frames[5].payload, encoder().gap(&samples::gap()));
    assert_eq!(stats.durable, frames[6].end);
}

#[test]
fn files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let (journal, _) = bench.open();
    journal.handle().notice(&notice(0));
    close(journal);
    cursor::store(bench.path(), "logs", Position::default()).unwrap();
    for entry in fs::read_dir(bench.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

#[test]
fn rotation_keeps_everything_readable_and_a_reader_can_follow() {
    let bench = Bench::new();
    let options = Options { segment_bytes: 4096, cap_bytes: 1 << 20, ..bench.options() };
    let (journal, _) = Journal::open(options).unwrap();
    let (exports, handle) = (journal.exports(), journal.handle());
    let durable = exports.durable();
    let dir = bench.path().to_owned();
    let follower = thread::spawn(move || {
        let (mut reader, mut seen) = (read(&dir), 0);
        let deadline = Instant::now() + Duration::from_secs(20);
        while seen < 500 && Instant::now() < deadline {
            let limit = *durable.borrow();
            match reader.next_until(limit).unwrap() {
                Some(Item::Frame(frame)) => {
                    assert!(frame.end <= limit);
                    seen += 1;
                }
                Some(Item::Corrupt(at)) => panic!("corrupt at {at}"),
                None => thread::sleep(Duration::from_millis(1)),
            }
        }
        seen
    });
    for number in 0..500 {
        handle.notice(&notice(number));
        if number % 50 == 0 {
            thread::sleep(Duration::from_millis(6));
        }
    }
    assert_eq!(follower.join().unwrap(), 500);
    close(journal);
    assert!(segment::list(bench.path()).unwrap().len() > 5);
    assert_eq!(readable(bench.path()), ((0..500).collect(), 0));
}

#[test]
fn a_burst_of_5000_alerts_is_durable() {
    let bench = Bench::new();
    let (journal, _) = bench.open();
    let (sender, acks) = channel();
    let alert = Arc::new(samples::alert());
    for _ in 0..5000 {
        let sender = sender.clone();
        journal.handle().alert(Arc::clone(&alert), move |j| sender.send(j).unwrap());
    }
    let mut late = 0;
    for _ in 0..5000 {
        late += u32::from(!acks.recv_timeout(Duration::from_secs(30)).unwrap());
    }
    let stats = close(journal);
    assert!(stats.groups <= 5000 / 64 + 20, "{} groups", stats.groups);
    assert_eq!(stats.records - bench.frames().iter().filter(|f| f.kind == Kind::Gap).count() as u64, 5000);
    println!("5000 alerts in {} groups, {late} late, slowest {} ms", stats.groups, stats.slowest_sync_ns / 1_000_000);
}

#[test]
fn a_second_agent_and_a_tiny_cap_are_refused() {
    let bench = Bench::new();
    let (_journal, _) = bench.open();
    let error = Journal::open(bench.options()).unwrap_err();
    assert!(error.to_string().starts_with("another agent uses "), "{error}");
    let other = Bench::new();
    let error = Journal::open(Options { cap_bytes: 1 << 20, ..other.options() }).unwrap_err();
    assert!(matches!(error, JournalError::Cap { .. }));
}
