//! `mlockcheck`: checks kernels against the specification of mlock accounting.

#![expect(unreachable_pub, reason = "a program has no public interface")]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
