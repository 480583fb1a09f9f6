//! `dumptrail doctor`.

use super::{DoctorArgs, Failure};

/// Does it.
#[expect(clippy::needless_pass_by_value, reason = "the signature is the contract between the parser and the command")]
pub fn run(args: DoctorArgs) -> Result<(), Failure> {
    Err(Failure::Unsupported(format!("this build has no such command: {args:?}")))
}
