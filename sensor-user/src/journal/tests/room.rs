//! The cap: what goes when there is no room, and in which order.

use super::*;

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
