//! How a journal ends: torn, damaged, or without a word; and how it is read and opened after that.

use super::*;

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
