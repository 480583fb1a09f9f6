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
fn a_torn_end_is_cut_at_every_offset_of_the_last_frame() {
    let bench = Bench::new();
    let (journal, _) = bench.open();
    for number in 0..3 {
        journal.handle().notice(&notice(number));
    }
    close(journal);
    let path = bench.newest();
    let whole = fs::read(&path).unwrap();
    let frames = bench.frames();
    let (second, third) = (frames[1].end.offset as usize, frames[2].end.offset as usize);
    assert_eq!(third, whole.len());
    for cut in second..third {
        for zeros in [0, 100] {
            let mut torn = whole[..cut].to_vec();
            torn.resize(cut + zeros, 0);
            fs::write(&path, &torn).unwrap();
            let (journal, report) = bench.open();
            assert_eq!(report.corrupt, None, "cut at {cut}");
            if zeros == 0 {
                assert_eq!(report.torn_bytes, (cut - second) as u64);
            }
            journal.handle().notice(&notice(9));
            close(journal);
            assert_eq!(readable(bench.path()), (vec![0, 1, 9], 0), "cut at {cut}, {zeros} zeros");
            fs::write(&path, &whole).unwrap();
        }
    }
}

fn ended(name: StepKind) -> Arc<crate::step::Step> {
    Arc::new(samples::step(name, "host", "host", "end"))
}

/// What a stop makes the agent say comes after the step; a new agent that is killed before it saw anything has begun.
#[test]
fn an_agent_that_did_not_say_that_it_stops_is_told() {
    let bench = Bench::new();
    let session = |says: &dyn Fn(&Handle)| {
        let (journal, report) = bench.open();
        says(&journal.handle());
        close(journal);
        report.unwatched
    };
    let begin = |handle: &Handle| handle.notice(&Notice { kind: STARTED, time: samples::NOON, ..notice(0) });
    assert_eq!(session(&begin), None, "nobody was before");
    let stopping = session(&|handle| {
        begin(handle);
        handle.step(ended(StepKind::AgentStopped));
        handle.alert(Arc::new(samples::alert()), |_| {});
        handle.notice(&notice(1));
    });
    assert_eq!(stopping, Some(samples::NOON), "the first did not stop");
    assert_eq!(session(&begin), None, "the second did");
    assert_eq!(session(&|handle| handle.step(ended(StepKind::Created))), Some(samples::NOON));
    let next = segment::list(bench.path()).unwrap().last().unwrap().0 + 1;
    Segment::create(bench.path(), next).unwrap();
    assert!(session(&begin).is_some(), "the newest segment has no record yet");
    session(&|handle| handle.step(ended(StepKind::AgentStopped)));
    Segment::create(bench.path(), next + 1).unwrap();
    session(&|handle| handle.gap(&samples::gap()));
    assert_eq!(session(&|_| {}), None, "what follows the stop may be in the next segment");
}

#[test]
fn a_torn_end_is_said() {
    let bench = Bench::new();
    let (journal, _) = bench.open();
    journal.handle().notice(&notice(0));
    close(journal);
    let path = bench.newest();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    close(bench.open().0);
    let reports = bench.reports.lock().unwrap();
    assert!(reports.iter().any(|r| matches!(r, Report::Notice(n) if n.kind == "journal-torn")), "{reports:?}");
}

#[test]
fn a_damaged_frame_costs_its_segment_s_rest_and_nothing_else() {
    let bench = Bench::new();
    let (journal, _) = bench.open();
    for number in 0..3 {
        journal.handle().notice(&notice(number));
    }
    close(journal);
    let path = bench.newest();
    let whole = fs::read(&path).unwrap();
    let first = bench.frames()[0].end.offset as usize;
    let second = bench.frames()[1].end.offset as usize;
    for at in (first..second).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x40;
        fs::write(&path, &damaged).unwrap();
        let (journal, report) = bench.open();
        // A length that reaches beyond the end cannot be told from a torn write.
        let torn = report.torn_bytes > 0;
        assert!(torn || report.corrupt == Some(Position { segment: 1, offset: first as u64 }), "{at}: {report:?}");
        journal.handle().notice(&notice(9));
        close(journal);
        assert_eq!(readable(bench.path()), (vec![0, 9], usize::from(!torn)), "damage at {at}");
        if !torn {
            assert_eq!(fs::read(&path).unwrap(), damaged, "evidence is not destroyed");
            assert_eq!(bench.gap("journal_corrupt"), 1);
            bench.reports.lock().unwrap().clear();
            fs::remove_file(bench.newest()).unwrap();
        }
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

fn fill(bench: &Bench, shipped: Option<Position>) -> Stats {
    // One window, so that gaps, which are records themselves, do not take part in what is counted.
    let gap_window = Duration::from_mins(1);
    let options = Options { segment_bytes: 4096, cap_bytes: 32 << 10, gap_window, ..bench.options() };
    let (journal, _) = Journal::open(options).unwrap();
    if let Some(position) = shipped {
        journal.exports().shipped("logs", position);
    }
    for _ in 0..40 {
        let (sender, acks) = channel();
        journal.handle().alert(Arc::new(samples::alert()), move |j| sender.send(j).unwrap());
        assert!(acks.recv_timeout(Duration::from_secs(10)).unwrap());
    }
    let size: u64 = segment::list(bench.path()).unwrap().iter().map(|(_, size)| size).sum();
    assert!(size <= 32 << 10, "{size}");
    close(journal)
}

#[test]
fn under_the_cap_shipped_segments_go_silently() {
    let bench = Bench::new();
    let far = Position { segment: u64::MAX, offset: 0 };
    assert!(fill(&bench, Some(far)).removed_segments > 0);
    assert!(bench.reports.lock().unwrap().is_empty());
    let alone = Bench::new();
    assert!(fill(&alone, None).removed_segments > 0, "no exporter: nothing waits");
    assert!(alone.reports.lock().unwrap().is_empty());
}

#[test]
fn what_goes_unshipped_is_counted() {
    let bench = Bench::new();
    fill(&bench, Some(Position::default()));
    let left = bench.frames().iter().filter(|f| f.kind == Kind::AlertLogs).count() as u64;
    let own = bench.gap("journal_cap");
    assert_eq!(own + left, 40, "{own} lost, {left} left");
}

#[test]
fn segments_with_nothing_to_ship_go_before_unshipped_ones() {
    let bench = Bench::new();
    let options = Options { segment_bytes: 4096, cap_bytes: 32 << 10, ..bench.options() };
    let (journal, _) = Journal::open(options).unwrap();
    journal.exports().shipped("logs", Position::default());
    let (sender, acks) = channel();
    journal.handle().alert(Arc::new(samples::alert()), move |j| sender.send(j).unwrap());
    assert!(acks.recv_timeout(Duration::from_secs(10)).unwrap());
    for number in 0..400 {
        journal.handle().notice(&notice(number));
    }
    let stats = close(journal);
    assert!(stats.removed_segments > 2, "{stats:?}");
    assert!(bench.frames().iter().any(|f| f.kind == Kind::AlertLogs), "the alert is still there");
}

#[test]
fn a_full_queue_refuses_steps_first_and_counts() {
    let bench = Bench::new();
    let options = Options { bounds: Bounds { total: 200, steps: 10 }, ..bench.options() };
    let (journal, _) = Journal::open(options).unwrap();
    let handle = journal.handle();
    let (sender, acks) = channel();
    // Faster than any disk: some steps must be refused, no alert may be.
    for _ in 0..100 {
        for _ in 0..10 {
            handle.step(Arc::new(samples::sent()));
        }
        let sender = sender.clone();
        handle.alert(Arc::new(samples::alert()), move |j| sender.send(j).unwrap());
    }
    for _ in 0..100 {
        assert!(acks.recv_timeout(Duration::from_secs(10)).unwrap());
    }
    bench.gap("journal_queue_full");
    let stats = close(journal);
    assert!(stats.lost_steps > 0 && stats.lost_records == 0, "{stats:?}");
    let steps = bench.frames().iter().filter(|f| f.kind == Kind::Step).count() as u64;
    assert_eq!(steps + stats.lost_steps, 1000);
}

#[test]
fn an_alert_without_room_is_acknowledged_as_not_journaled() {
    let bench = Bench::new();
    let options = Options { bounds: Bounds { total: 0, steps: 0 }, ..bench.options() };
    let (journal, _) = Journal::open(options).unwrap();
    let (sender, acks) = channel();
    journal.handle().alert(Arc::new(samples::alert()), move |j| sender.send(j).unwrap());
    assert!(!acks.try_recv().unwrap(), "at once");
    assert_eq!(bench.gap("journal_queue_full"), 1);
}

#[test]
fn an_alert_that_is_not_durable_in_time_is_acknowledged_by_the_watchdog() {
    let bench = Bench::new();
    // A deadline that has passed before any disk can answer.
    let options = Options { patience: Duration::ZERO, ..bench.options() };
    let (journal, _) = Journal::open(options).unwrap();
    let (sender, acks) = channel();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let sender = sender.clone();
        journal.handle().alert(Arc::new(samples::alert()), move |j| sender.send(j).unwrap());
        if !acks.recv_timeout(Duration::from_secs(10)).unwrap() {
            break;
        }
        assert!(Instant::now() < deadline, "the writer always won");
    }
    bench.gap("journal_late");
    close(journal);
    assert!(acks.try_recv().is_err(), "acknowledged once");
}

#[test]
fn a_failed_write_is_a_gap_and_the_journal_recovers() {
    let bench = Bench::new();
    let options = Options { segment_bytes: 2048, cap_bytes: 1 << 20, ..bench.options() };
    let (journal, _) = Journal::open(options).unwrap();
    let handle = journal.handle();
    let push = || {
        let (sender, acks) = channel();
        handle.alert(Arc::new(samples::alert()), move |j| sender.send(j).unwrap());
        acks.recv_timeout(Duration::from_secs(10)).unwrap()
    };
    assert!(push());
    // The next segment's name is taken by a directory: the segment cannot be begun.
    let next = segment::list(bench.path()).unwrap().last().unwrap().0 + 1;
    let trap = segment::path(bench.path(), next);
    fs::create_dir(&trap).unwrap();
    assert!(!push());
    assert_eq!(bench.gap("journal_failed"), 1);
    fs::remove_dir(&trap).unwrap();
    assert!(push());
    close(journal);
    let alerts = bench.frames().iter().filter(|f| f.kind == Kind::Alert).count();
    assert_eq!(alerts, 2);
}

/// What no frame can hold is a loss with a name, and nobody is told that it is durable.
#[test]
fn a_record_that_is_too_large_is_a_gap() {
    let bench = Bench::new();
    let (journal, _) = bench.open();
    let mut large = samples::sent();
    large.detail = Some("x".repeat(frame::MAX_PAYLOAD));
    let push = |step: Step| {
        let (sender, acks) = channel();
        journal.handle().alert(Arc::new(samples::alert_on(step)), move |j| sender.send(j).unwrap());
        acks.recv_timeout(Duration::from_secs(10)).unwrap()
    };
    assert!(!push(large.clone()));
    journal.handle().step(Arc::new(large));
    journal.handle().notice(&Notice { text: "x".repeat(frame::MAX_PAYLOAD), ..samples::identified() });
    assert!(push(samples::sent()));
    let stats = close(journal);
    assert_eq!((stats.lost_records, stats.lost_steps), (2, 1));
    assert_eq!(bench.gap("journal_too_large"), 3);
    let kinds: Vec<_> = bench.frames().iter().map(|f| f.kind).collect();
    assert!(!kinds.contains(&Kind::Step) && !kinds.contains(&Kind::Notice), "{kinds:?}");
    assert_eq!(kinds.iter().filter(|k| **k == Kind::AlertLogs).count(), 1, "{kinds:?}");
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

#[test]
fn a_segment_without_its_head_is_passed_over() {
    let bench = Bench::new();
    for size in [0, HEAD - 1] {
        let dir = bench.path();
        let next = segment::list(dir).unwrap().last().map_or(1, |(n, _)| n + 1);
        fs::write(segment::path(dir, next), vec![0; size as usize]).unwrap();
        let (journal, _) = bench.open();
        journal.handle().notice(&notice(size as usize));
        close(journal);
    }
    assert_eq!(readable(bench.path()), (vec![0, 15], 0));
}

#[test]
fn without_room_for_the_next_segment_alerts_go_before_steps() {
    let bench = Bench::new();
    close(bench.open().0);
    // The name of the reserved file is taken: nothing can be reserved.
    fs::remove_file(bench.path().join("next.spare")).unwrap();
    fs::create_dir(bench.path().join("next.spare")).unwrap();
    let (journal, report) = bench.open();
    assert!(!report.reserves);
    let (sender, acks) = channel();
    journal.handle().step(Arc::new(samples::sent()));
    journal.handle().alert(Arc::new(samples::alert()), move |j| sender.send(j).unwrap());
    assert!(acks.recv_timeout(Duration::from_secs(10)).unwrap());
    assert_eq!(bench.gap("journal_full"), 1);
    assert_eq!(close(journal).lost_steps, 1);
    let kinds: Vec<_> = bench.frames().iter().map(|f| f.kind).collect();
    assert!(kinds.contains(&Kind::Alert) && !kinds.contains(&Kind::Step), "{kinds:?}");
}

#[test]
fn what_waits_for_the_collector_is_measured() {
    let bench = Bench::new();
    let options = Options { segment_bytes: 4096, cap_bytes: 1 << 20, ..bench.options() };
    let (journal, _) = Journal::open(options).unwrap();
    let exports = journal.exports();
    assert_eq!(exports.waiting(), 0, "no exporter");
    exports.shipped("logs", *exports.durable().borrow());
    assert_eq!(exports.waiting(), 0);
    for number in 0..100 {
        journal.handle().notice(&notice(number));
    }
    let stats = close(journal);
    assert!(exports.waiting() >= stats.bytes, "{} {stats:?}", exports.waiting());
}
