//! The command line: what can be asked, and with which exit code it ends.

mod answer;
mod guarantees;
mod list;
mod options;
mod select;
mod table;

use clap::Parser;
use options::{Cli, Command};
use std::process::ExitCode;

/// Why a command did not end with 0.
#[derive(Debug)]
pub enum Ended {
    /// 1: something is not as expected.
    NotAsExpected,
    /// 2: what was asked makes no sense.
    Usage(String),
    /// 3: a fixture or a saved counterexample cannot be read.
    Unreadable(String),
    /// 4: nothing was selected.
    NothingSelected(String),
}

/// Runs the program.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let ended = match &cli.command {
        Command::Check(what) => answer::check(what),
        Command::Explain(what) => answer::explain(what),
        Command::Outcomes(what) => answer::outcomes(what),
        Command::Replay(what) => answer::replay(what),
        Command::List(what) => list::print(what),
        Command::Guarantees(what) => guarantees::print(what),
        Command::Costs(what) => answer::costs(what),
        Command::Pin(what) => answer::pin(what),
    };
    let (code, message) = match ended {
        Ok(()) => (0, String::new()),
        Err(Ended::NotAsExpected) => (1, String::new()),
        Err(Ended::Usage(text)) => (2, text),
        Err(Ended::Unreadable(text)) => (3, text),
        Err(Ended::NothingSelected(text)) => (4, text),
    };
    if !message.is_empty() {
        anstream::eprintln!("{message}");
    }
    ExitCode::from(code)
}
