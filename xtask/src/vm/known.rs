//! What a kernel cannot tell, and what a guest cannot run: each with its reason. An expected failure that passes fails the
//! run, so that this table says no more than what is true; but for the few that are left to chance.

/// Scenarios that a kernel cannot pass.
pub(crate) struct Limit {
    pub(crate) scenarios: &'static [&'static str],
    pub(crate) kernels: &'static [&'static str],
    pub(crate) backends: &'static [&'static str],
    /// The fact about the kernel.
    pub(crate) why: &'static str,
    /// It fails each time; else by chance.
    pub(crate) always: bool,
}

pub(crate) const LIMITS: &[Limit] = &[
    Limit {
        scenarios: &["birth::file_on_tmpfs"],
        kernels: &["5.10", "6.1"],
        backends: &["tracepoint"],
        why: "before 6.13 no tracepoint tells of a new size on tmpfs",
        always: true,
    },
    Limit {
        scenarios: &["birth::file_on_tmpfs"],
        kernels: &["6.12"],
        backends: &["tracepoint"],
        why: "before 6.13 no tracepoint tells of a new size on tmpfs, but when the clock ticks in time",
        always: false,
    },
    Limit {
        scenarios: &["uring::plain", "uring::fixed", "uring::sqpoll", "hops::every_means_in_one_chain"],
        kernels: &["5.10", "6.1", "6.12"],
        backends: &["tracepoint"],
        why: "before 6.13 the tracepoint of a request's end does not say which request",
        always: true,
    },
    Limit {
        scenarios: &["names::file_system_goes"],
        kernels: &["5.10"],
        backends: &["fentry", "tracepoint"],
        why: "before 5.13 tmpfs has no number by which fanotify tells of its names",
        always: true,
    },
    Limit {
        scenarios: &["names::gone_with_its_file_system"],
        kernels: &["5.10"],
        backends: &["fentry"],
        why: "before 5.13 what is taken off a function cannot be attached again, so it stays",
        always: true,
    },
    Limit {
        scenarios: &["birth::file_on_overlay", "program::on_overlay", "copy::loop_device"],
        kernels: &["5.10"],
        backends: &["fentry", "tracepoint"],
        why: "before 5.11 modules have no BTF, so the layouts of overlayfs and loop devices are not known",
        always: true,
    },
];

/// Crashes in the emulator now and then, unless its clock counts instructions.
pub(crate) const UNSTEADY: &[&str] = &["6.12"];

/// What the backend `fentry` does not see that `tracepoint` sees, on every kernel.
pub(crate) const UNSEEN_BY_FENTRY: &[&str] = &["blocked-readers", "short-writes"];

/// The scenario of a pair of guests.
pub(crate) const PEER: &str = "peer::curl_nc_and_scp";

/// Groups and scenarios that a guest by itself does not run.
pub(crate) const ELSEWHERE: &[(&str, &str)] = &[
    ("scale::", "load says nothing on an emulated processor"),
    (PEER, "it needs a pair of guests, and has one"),
    ("early::", "it is long, and runs when it is named: `-- --ignored early::`"),
    ("handover::ten_times", "the same, `-- --ignored handover::`"),
    ("export::alert_by_otlp", "its receiver comes by pip, and a guest has no network"),
];

/// Scenarios of a run without `--full`: each way by which bytes move, once.
pub(crate) const SMOKE: &[&str] = &[
    "birth::file_on_this_disk",
    "birth::file_on_tmpfs",
    "birth::file_on_overlay",
    "birth::handler_that_compresses",
    "birth::one_dump_of_a_busy_process",
    "program::its_own_heap",
    "program::every_format",
    "program::on_overlay",
    "copy::cp",
    "copy::mv_to_another_file_system",
    "copy::copy_file_range",
    "copy::sendfile_to_a_file",
    "copy::splice",
    "copy::mmap",
    "uring::plain",
    "uring::fixed",
    "uring::sqpoll",
    "copy::libaio",
    "memory::process_vm_readv",
    "memory::out_of_a_holder",
    "memory::system_v_segment",
    "memory::posix_queue",
    "local::pipe",
    "local::fifo",
    "local::unix_relay",
    "local::fork_inherits",
    "local::exec_drops_memory",
    "network::tar_gzip_nc",
    "network::scp",
    "network::nginx_sendfile",
    "network::udp",
    "network::ipv6",
    "hops::production_to_debug_to_internet",
    "names::rename_link_unlink",
    "names::truncated_is_no_dump",
    "benign::crashed_service_with_connections",
    "benign::other_file_of_the_folder",
    "benign::rsync_compares",
    "start::reload",
    "block::ten_ways",
    "block::observe",
    "block::opened_in_a_forbidden_zone",
    "block::reload",
    "found::at_rest",
    "found::in_hands",
    "handover::bytes_on_their_way",
];

/// Why this scenario fails there.
pub(crate) fn limit(scenario: &str, kernel: &str, backend: &str) -> Option<&'static Limit> {
    let holds = |limit: &&Limit| {
        limit.scenarios.contains(&scenario) && limit.kernels.contains(&kernel) && limit.backends.contains(&backend)
    };
    LIMITS.iter().find(holds)
}

/// True when it runs in guests at all.
pub(crate) fn runs(scenario: &str) -> bool {
    !ELSEWHERE.iter().any(|(beginning, _)| scenario.starts_with(beginning))
}

/// All scenarios that this file names.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    LIMITS.iter().flat_map(|limit| limit.scenarios).copied().chain(SMOKE.iter().copied()).chain([PEER])
}
