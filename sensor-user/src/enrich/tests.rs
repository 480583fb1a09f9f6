use std::{
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use super::*;

/// A child that ends with the test.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Guard {
    fn spawn(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }

    /// What the kernel would say, read from /proc; waits until the child has executed its program.
    fn known(&self) -> Known {
        let pid = self.0.id();
        loop {
            let alive = Alive::any("/proc".as_ref(), pid).unwrap();
            if alive.argv().is_some_and(|(argv, _)| argv.starts_with(b"sleep --password")) {
                let start_ns = alive.start_ns();
                return Known {
                    pid,
                    tid: pid,
                    start_ns,
                    parent_pid: std::process::id(),
                    login_uid: u32::MAX,
                    ..Known::default()
                };
            }
            std::thread::yield_now();
        }
    }
}

fn enricher() -> Enricher {
    let mounts = Mounts::read("/proc/self/mountinfo".as_ref()).unwrap();
    Enricher::new("/proc", &mounts, Privacy::Masked)
}

fn sleeper() -> Guard {
    Guard::spawn(Command::new("sleep").arg0("sleep --password=hunter2").arg("60").current_dir("/usr"))
}

#[test]
fn a_live_process_is_completed() {
    let child = sleeper();
    let known = child.known();
    let done = enricher().complete(&known, false);
    let process = done.process;
    assert!(done.alive);
    assert!(process.executable.unwrap().ends_with("/sleep"));
    assert_eq!(process.command_line.as_deref(), Some("sleep --password=*** 60"));
    assert_eq!(process.args_count, Some(2));
    assert_eq!(process.working_directory.as_deref(), Some("/usr"));
    assert_eq!(process.user_name.as_deref(), Some("root").filter(|_| known.uid == 0));
    assert_eq!(process.login_user_id, None);
    assert!(process.cgroup.is_none_or(|c| c.starts_with('/')));
    let own = std::env::current_exe().unwrap();
    assert_eq!(process.ancestors.first().map(String::as_str), own.to_str());
    assert!(process.ancestors.len() <= MAX_ANCESTORS);
}

#[test]
fn the_kernels_words_win_over_procs() {
    let child = sleeper();
    let known =
        Known { exe_path: Some("/said/by/kernel".into()), argv: Some(b"kernel\0-x\0".to_vec()), ..child.known() };
    let process = enricher().complete(&known, false).process;
    assert_eq!(process.executable.as_deref(), Some("/said/by/kernel"));
    assert_eq!(process.command_line.as_deref(), Some("kernel -x"));
    let cut = Known { argv: Some(vec![b'a'; sensor_abi::record::ARGV_MAX]), ..known };
    assert!(enricher().complete(&cut, false).process.command_line.unwrap().starts_with("sleep"));
}

#[test]
fn a_reused_pid_never_mixes_in() {
    let child = sleeper();
    let known = child.known();
    let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second();
    for (shift, same) in [(0, true), (tick, true), (tick * 3, false)] {
        let other = Known { start_ns: known.start_ns + shift, ..known.clone() };
        let done = enricher().complete(&other, false);
        assert_eq!(done.alive, same, "{shift} ns later");
        assert_eq!(done.process.executable.is_some(), same);
        assert_eq!(done.process.working_directory.is_some(), same);
        assert_eq!(enricher().sha256(other.pid, other.start_ns).is_some(), same);
    }
}

#[test]
fn a_descriptor_of_a_dead_process_reads_nothing() {
    let child = sleeper();
    let known = child.known();
    let alive = Alive::open("/proc".as_ref(), known.pid, known.start_ns).unwrap();
    drop(child);
    assert_eq!((alive.executable(), alive.argv(), alive.cgroup_file()), (None, None, None));
    let done = enricher().complete(&known, false);
    assert_eq!((done.alive, done.process.executable, done.process.pid), (false, None, known.pid));
}

#[test]
fn a_carriers_argv_is_not_shown() {
    let child = sleeper();
    let process = enricher().complete(&child.known(), true).process;
    assert!(!process.command_line.unwrap().contains("60"));
    assert_eq!(process.args_count, Some(2));
}

#[test]
fn an_exited_parent_is_still_an_ancestor() {
    let mut enricher = enricher();
    let shell = Known { pid: 4_000_001, start_ns: 50, parent_pid: 4_000_000, parent_start_ns: 10, ..Known::default() };
    let daemon = Known { pid: 4_000_000, start_ns: 10, exe_path: Some("/sbin/daemon".into()), ..Known::default() };
    enricher.observe(&daemon);
    enricher.observe(&Known { exe_path: Some("/bin/sh".into()), ..shell });
    let child = Known { pid: 4_000_002, start_ns: 90, parent_pid: 4_000_001, parent_start_ns: 50, ..Known::default() };
    assert_eq!(enricher.complete(&child, false).process.ancestors, ["/bin/sh", "/sbin/daemon"]);
    let unsure = Known { parent_start_ns: 0, ..child.clone() };
    assert_eq!(enricher.complete(&unsure, false).process.ancestors.len(), 2, "found by pid and age");
    let older = Known { start_ns: 40, ..unsure };
    assert!(enricher.complete(&older, false).process.ancestors.is_empty(), "a parent is not younger than its child");
}

#[test]
fn a_loop_in_the_family_ends() {
    let mut enricher = enricher();
    for (pid, parent) in [(4_100_000, 4_100_001), (4_100_001, 4_100_000)] {
        let exe_path = Some(format!("/bin/{pid}"));
        enricher.observe(&Known {
            pid,
            start_ns: 5,
            parent_pid: parent,
            parent_start_ns: 5,
            exe_path,
            ..Known::default()
        });
    }
    let child = Known { pid: 4_100_002, start_ns: 9, parent_pid: 4_100_000, parent_start_ns: 5, ..Known::default() };
    assert_eq!(enricher.complete(&child, false).process.ancestors.len(), MAX_ANCESTORS);
}

#[test]
fn the_family_stays_bounded_and_keeps_who_was_used_last() {
    let mut family = Family::default();
    for pid in 0..(MAX_FAMILY as u32 * 2) {
        family.learn((pid, 1), (0, 0), Some("/x"));
        family.learn((u32::MAX, 1), (0, 0), Some("/kept"));
    }
    assert!(family.members.len() <= MAX_FAMILY);
    assert!(family.get((u32::MAX, 1)).is_some() && family.get((0, 1)).is_none());
}

#[test]
fn the_hash_is_the_one_that_sha256sum_says() {
    let child = sleeper();
    let known = child.known();
    let mut enricher = enricher();
    let ours = enricher.sha256(known.pid, known.start_ns).unwrap();
    let exe = std::fs::read_link(format!("/proc/{}/exe", known.pid)).unwrap();
    let theirs = Command::new("sha256sum").arg(exe).output().unwrap().stdout;
    assert!(String::from_utf8(theirs).unwrap().starts_with(&ours));
    assert_eq!(enricher.sha256(known.pid, known.start_ns), Some(ours), "from the cache");
}
