//! The command line: what can be asked, and with which exit code it ends.

mod check;
mod costs;
mod explain;
mod guarantees;
mod list;
mod mutants;
mod options;
mod outcomes;
mod pin;
mod progress;
mod runs;
mod sample;
mod select;

use clap::Parser;
use options::{Cli, Command};
use std::path::Path;
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
    /// 5: a search was cut short.
    Bounded(String),
}

/// Runs the program.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    progress::listen();
    let ended = match &cli.command {
        Command::Check(what) => check::check(what),
        Command::Explain(what) => explain::explain(what),
        Command::Outcomes(what) => outcomes::outcomes(what),
        Command::Replay(what) => explain::replay(what),
        Command::List(what) => list::print(what),
        Command::Guarantees(what) => guarantees::print(what),
        Command::Costs(what) => costs::costs(what),
        Command::Mutants(what) => mutants::print(what),
        Command::Sample(what) => sample::print(what),
        Command::Pin(what) => pin::pin(what),
    };
    let (code, message) = match ended {
        Ok(()) => (0, String::new()),
        Err(Ended::NotAsExpected) => (1, String::new()),
        Err(Ended::Usage(text)) => (2, text),
        Err(Ended::Unreadable(text)) => (3, text),
        Err(Ended::NothingSelected(text)) => (4, text),
        Err(Ended::Bounded(text)) => (5, text),
    };
    if !message.is_empty() {
        anstream::eprintln!("{message}");
    }
    ExitCode::from(code)
}

/// Writes a file so that it is never there by half.
fn write_whole(path: &Path, text: &str) -> Result<(), Ended> {
    let draft = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, path));
    written.map_err(|error| {
        let _gone = std::fs::remove_file(&draft);
        Ended::Unreadable(format!("cannot write {}: {error}", path.display()))
    })
}
