//! What cannot be kept is counted, and whoever waits for it is told.

use super::*;

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
