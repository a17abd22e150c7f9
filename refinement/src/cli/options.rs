//! What can be asked.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Checks kernels' mlock accounting against its specification, over every interleaving
///
/// Exit codes: 0 as expected, 1 not as expected, 2 usage, 3 unreadable fixture, 4 nothing selected,
/// 5 a bound reached or interrupted.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 92)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check fixtures against every law; exit 0 only if all is as expected
    Check(Selection),
    /// Draw the shortest interleaving that breaks a law
    Explain(Explain),
    /// List every final state that an interleaving can reach
    Outcomes(Selection),
    /// Take the steps of a saved counterexample again
    Replay(ReplayFile),
    /// List the fixtures and what each claims
    List(Selection),
    /// Put the verdicts together: what each kernel guarantees, and by how much it fails
    Guarantees(Guarantees),
    /// Count how often mlock and munlock take each lock, at 512 pages
    Costs(Costs),
    /// Make every mechanical mistake in the sound kernels, and say which law notices
    Mutants(Mutants),
    /// Take random schedules, where a scenario is too large to search
    Sample(Sample),
    /// Write the sizes of the searched spaces into fixtures whose verdicts are as expected
    Pin(Selection),
}

/// Which fixtures, at which sizes.
#[derive(Debug, Args)]
pub struct Selection {
    /// Fixture files or folders, or names as `list` prints them; all fixtures if none is given
    pub fixtures: Vec<String>,
    /// Only fixtures of this kernel; a scenario named explicitly is run under it
    #[arg(long)]
    pub kernel: Option<String>,
    /// Base pages per huge page, instead of the sizes that the fixture lists
    #[arg(long, value_name = "N")]
    pub pages: Option<u16>,
    /// How to print results
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    #[command(flatten)]
    pub engine: Engine,
}

/// How to search, and when to stop.
#[derive(Debug, Args)]
#[command(next_help_heading = "Search")]
pub struct Engine {
    /// Which interleavings not to tell apart: as the fixture says for each size, or these
    #[arg(long, value_enum, value_delimiter = ',', default_value = "auto")]
    pub reduce: Vec<Reduce>,
    /// Threads to use; as many as there are cores if not given
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Stop a search that has seen more states than this
    #[arg(long, value_name = "N")]
    pub max_states: Option<usize>,
    /// Stop a search at this depth, in steps
    #[arg(long, value_name = "N")]
    pub max_depth: Option<usize>,
    /// Look only at interleavings that switch away this often from a CPU that could go on
    #[arg(long, value_name = "N")]
    pub preemptions: Option<u16>,
    /// Stop a search whose states take more memory than this, in MiB
    #[arg(long, value_name = "MIB")]
    pub memory: Option<usize>,
}

/// A reduction, or a choice of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Reduce {
    /// None at the sizes that a fixture lists as `pages`, all at others
    Auto,
    /// Every interleaving, step by step
    None,
    /// Every reduction
    All,
    /// Steps that nobody can interfere with are taken at once
    Fuse,
    /// Only CPUs that may interfere with each other are tried
    Ample,
    /// It makes no difference which of several CPUs with the same calls is which
    Symmetry,
}

/// Whose guarantees, and how much of them.
#[derive(Debug, Args)]
pub struct Guarantees {
    #[command(flatten)]
    pub selection: Selection,
    /// Only the matrix, without how and by how much each law is broken
    #[arg(long)]
    pub brief: bool,
}

/// Which counterexample.
#[derive(Debug, Args)]
pub struct Explain {
    #[command(flatten)]
    pub selection: Selection,
    /// Only this law
    #[arg(long)]
    pub law: Option<String>,
    /// Save the counterexample here, as RON, for `replay`
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
}

/// A saved counterexample.
#[derive(Debug, Args)]
pub struct ReplayFile {
    /// A file that `explain --save` wrote
    pub file: PathBuf,
}

/// Which kernels.
#[derive(Debug, Args)]
pub struct Costs {
    /// Only this kernel
    #[arg(long)]
    pub kernel: Option<String>,
}

/// Mutants of which kernels.
#[derive(Debug, Args)]
pub struct Mutants {
    /// Only this kernel, sound or not; all sound kernels if none is given
    #[arg(long)]
    pub kernel: Option<String>,
    /// Only leave out locks, in every scenario, and say what each is for
    #[arg(long)]
    pub locks: bool,
    /// Instead, weaken and strengthen each guard of the specification and delete each law
    #[arg(long, conflicts_with_all = ["kernel", "locks"])]
    pub spec: bool,
    /// How to print results
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// Which random schedules.
#[derive(Debug, Args)]
pub struct Sample {
    #[command(flatten)]
    pub selection: Selection,
    /// How many schedules to take for each fixture and size
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub schedules: usize,
    /// What decides the schedules
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Schedule by priorities that change at D − 1 steps, instead of uniformly
    #[arg(long, value_name = "D")]
    pub pct: Option<usize>,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people, in colour on a terminal
    Human,
    /// For people, without colour
    Plain,
    /// For programs
    Json,
}
