//! `dumptrail run`.

use super::{Failure, RunArgs};

/// Does it.
#[expect(clippy::needless_pass_by_value, reason = "the signature is the contract between the parser and the command")]
pub fn run(args: RunArgs) -> Result<(), Failure> {
    Err(Failure::Unsupported(format!("this build has no such command: {args:?}")))
}
