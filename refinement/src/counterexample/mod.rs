//! Counterexamples: the shortest interleaving that breaks a law, drawn the way kernel people draw
//! races, saved, and replayed.

mod draw;

pub use draw::draw;

use crate::check::Report;
use crate::fixture::Fixture;
use crate::search::{Finding, Goal, System, Taken, is_stuck, shortest};
use crate::system::{Judged, Told};
use mlock_spec::Law;
use serde::{Deserialize, Serialize};

/// A saved counterexample. It carries its scenario, and names steps by CPU and label, so that it
/// survives changes elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// The version of this format: 1.
    pub format: u32,
    /// The law that breaks.
    pub law: Law,
    /// Base pages per huge page.
    pub pages: u16,
    /// The scenario.
    pub fixture: Fixture,
    /// The schedule.
    pub steps: Vec<ReplayStep>,
}

/// One step of a saved counterexample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayStep {
    /// Who moves.
    pub cpu: usize,
    /// What it is about to do.
    pub label: String,
}

/// What became of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// The law breaks at the last step, as before.
    Reproduces,
    /// All steps can be taken, and the law holds.
    Passes,
    /// A step cannot be taken: its number, from 1, and what could be done instead.
    Diverges(usize, Vec<ReplayStep>),
}

/// What a drawing shows the shortest way to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// To a law that breaks.
    Law(Law),
    /// To a limit of the model, beyond which nothing was searched.
    Limit,
}

impl Topic {
    /// What a search found of it first, and how many steps that takes.
    fn found(self, report: &Report) -> Option<(Finding, usize)> {
        match self {
            Topic::Law(law) => report.laws.get(&law)?.broken,
            Topic::Limit => report.limit.map(|depth| (Told::Limit.finding(), depth)),
        }
    }
}

/// The schedule of the shortest way there: one CPU a step.
pub fn find(system: &Judged, report: &Report, topic: Topic) -> Option<Vec<usize>> {
    let (finding, depth) = topic.found(report)?;
    let deadlocked = |state: &[u64]| is_deadlock(system, state);
    let stuck = |state: &[u64]| is_stuck(system, state);
    let goal = match finding {
        Finding::DEADLOCK => Goal::State(&deadlocked),
        Finding::LIVELOCK => Goal::State(&stuck),
        told => Goal::Told(told),
    };
    shortest(system, &goal, depth)
}

/// Whether a CPU waits for a lock that it holds itself, or for one that sleeps and holds a spinlock.
fn breaks_order(system: &Judged, state: &[u64], cpu: usize) -> bool {
    let (mut next, mut findings) = (Vec::new(), Vec::new());
    let taken = system.step(
        state,
        cpu,
        &mut next,
        &mut findings,
        &mut Default::default(),
    );
    taken == Taken::Blocked
        && findings
            .iter()
            .any(|finding| BY_WAITING.iter().any(|told| told.finding() == *finding))
}

/// What breaks the order of locks by a wait alone.
const BY_WAITING: [Told; 2] = [Told::Broken(Law::LockOrder), Told::WaitsForItself];

fn is_deadlock(system: &Judged, state: &[u64]) -> bool {
    let mut next = Vec::new();
    let taken: Vec<Taken> = (0..system.actors())
        .map(|cpu| system.see(state, cpu, &mut next).taken)
        .collect();
    taken.contains(&Taken::Blocked)
        && !taken
            .iter()
            .any(|t| matches!(t, Taken::Moved | Taken::Crashed))
}

impl Replay {
    /// The counterexample to keep.
    pub fn new(
        fixture: &Fixture,
        system: &Judged,
        pages: u16,
        law: Law,
        schedule: &[usize],
    ) -> Replay {
        let mut state = system.initial();
        let mut steps = Vec::new();
        for &cpu in schedule {
            steps.push(ReplayStep {
                cpu,
                label: system.next_label(&state, cpu).to_owned(),
            });
            let mut next = Vec::new();
            if system.see(&state, cpu, &mut next).taken == Taken::Moved {
                state = next;
            }
        }
        Replay {
            format: 1,
            law,
            pages,
            fixture: fixture.clone(),
            steps,
        }
    }

    /// Takes the saved steps again.
    pub fn run(&self, system: &Judged) -> Replayed {
        let mut state = system.initial();
        let mut broken = false;
        for (i, step) in self.steps.iter().enumerate() {
            let mut next = Vec::new();
            let (mut findings, mut notes) = (Vec::new(), Default::default());
            let known =
                step.cpu < system.actors() && system.next_label(&state, step.cpu) == step.label;
            let taken = if known {
                system.step(&state, step.cpu, &mut next, &mut findings, &mut notes)
            } else {
                Taken::Done
            };
            if !matches!(taken, Taken::Moved | Taken::Crashed) {
                return Replayed::Diverges(i + 1, enabled(system, &state));
            }
            broken = findings.iter().any(|&f| breaks(f, self.law));
            if taken == Taken::Moved {
                state = next;
            }
        }
        let at_rest =
            self.law == Law::Progress && (is_deadlock(system, &state) || is_stuck(system, &state));
        let waiting = self.law == Law::LockOrder
            && (0..system.actors()).any(|cpu| breaks_order(system, &state, cpu));
        if broken || at_rest || waiting {
            Replayed::Reproduces
        } else {
            Replayed::Passes
        }
    }
}

/// Whether a step with this finding is where a law breaks. A potential inversion is told by the
/// step that closes the cycle of classes.
fn breaks(finding: Finding, law: Law) -> bool {
    let nests = Told::all()
        .into_iter()
        .filter(|t| matches!(t, Told::Nests(..) | Told::NestsAlike(..)))
        .any(|t| t.finding() == finding);
    finding == Told::Broken(law).finding() || law == Law::LockOrder && nests
}

fn enabled(system: &Judged, state: &[u64]) -> Vec<ReplayStep> {
    let mut next = Vec::new();
    (0..system.actors())
        .filter(|&cpu| {
            matches!(
                system.see(state, cpu, &mut next).taken,
                Taken::Moved | Taken::Crashed
            )
        })
        .map(|cpu| ReplayStep {
            cpu,
            label: system.next_label(state, cpu).to_owned(),
        })
        .collect()
}
