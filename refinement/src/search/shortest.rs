//! The one schedule to print: shortest, then fewest context switches, then first in label order.
//!
//! Level by level through the states that are no closer to the start, with one entry for each state
//! and each actor that may have moved last.
//! An entry keeps the best way to it; of two ways, the one with fewer switches, then the one whose
//! sequence of labels comes first.
//! What follows depends on the entry alone, so the best way to each is all that is needed.

use super::{Finding, System, Taken};
use rustc_hash::{FxHashMap, FxHashSet};

/// What to look for.
pub enum Goal<'g> {
    /// A step that tells this, or a state in which an actor that waits does.
    Told(Finding),
    /// A state like this.
    State(&'g dyn Fn(&[u64]) -> bool),
}

/// The best way to an entry.
struct Entry {
    state: Vec<u64>,
    last: usize,
    switches: usize,
    /// The rank of its label sequence among those of its level.
    rank: usize,
    parent: usize,
}

/// A step that leads to an entry of the next level, or reaches the goal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    switches: usize,
    rank: usize,
    label: (u32, usize),
    parent: usize,
}

/// The actors to let move, one a step, to reach the goal at its least depth, up to `most` steps.
pub fn shortest<S: System>(system: &S, goal: &Goal<'_>, most: usize) -> Option<Vec<usize>> {
    let mut notes = S::Notes::default();
    let start = system.initial();
    if let Goal::State(is) = goal
        && is(&start)
    {
        return Some(Vec::new());
    }
    let mut seen: FxHashSet<Vec<u64>> = FxHashSet::default();
    seen.insert(start.clone());
    let first = Entry {
        state: start,
        last: usize::MAX,
        switches: 0,
        rank: 0,
        parent: 0,
    };
    let mut levels: Vec<Vec<Entry>> = vec![vec![first]];
    for _ in 0..most {
        let level = levels.last()?;
        let mut ways: FxHashMap<(Vec<u64>, usize), Way> = FxHashMap::default();
        let mut best: Option<(Way, usize)> = None;
        for (parent, entry) in level.iter().enumerate() {
            for actor in 0..system.actors() {
                let (mut next, mut findings) = (Vec::new(), Vec::new());
                let taken = system.step(&entry.state, actor, &mut next, &mut findings, &mut notes);
                if matches!(taken, Taken::Blocked | Taken::Done) {
                    continue;
                }
                let switch = entry.last != usize::MAX && entry.last != actor;
                let way = Way {
                    switches: entry.switches + usize::from(switch),
                    rank: entry.rank,
                    label: (system.label(&entry.state, actor), actor),
                    parent,
                };
                let hit = match goal {
                    Goal::Told(finding) => {
                        findings.contains(finding)
                            || taken == Taken::Moved && waits(system, &next, *finding)
                    }
                    Goal::State(is) => taken == Taken::Moved && is(&next),
                };
                if hit && best.is_none_or(|(b, _)| way < b) {
                    best = Some((way, actor));
                }
                if taken == Taken::Moved && !seen.contains(&next) {
                    let known = ways.entry((next, actor)).or_insert(way);
                    *known = way.min(*known);
                }
            }
        }
        if let Some((way, actor)) = best {
            return Some(trace(&levels, way.parent, actor));
        }
        let level = ranked(ways);
        for entry in &level {
            seen.insert(entry.state.clone());
        }
        if level.is_empty() {
            return None;
        }
        levels.push(level);
    }
    None
}

/// Whether an actor that waits in a state tells this.
fn waits<S: System>(system: &S, state: &[u64], finding: Finding) -> bool {
    let mut notes = S::Notes::default();
    (0..system.actors()).any(|actor| {
        let (mut next, mut findings) = (Vec::new(), Vec::new());
        let taken = system.step(state, actor, &mut next, &mut findings, &mut notes);
        taken == Taken::Blocked && findings.contains(&finding)
    })
}

/// The entries of the next level, ranked by their label sequences.
fn ranked(ways: FxHashMap<(Vec<u64>, usize), Way>) -> Vec<Entry> {
    let mut found: Vec<((Vec<u64>, usize), Way)> = ways.into_iter().collect();
    found.sort_by(|(a, x), (b, y)| (x.rank, x.label, a).cmp(&(y.rank, y.label, b)));
    let mut rank = 0;
    let mut previous = None;
    let mut level = Vec::with_capacity(found.len());
    for ((state, last), way) in found {
        let sequence = (way.rank, way.label);
        if previous.is_some_and(|p| p != sequence) {
            rank += 1;
        }
        previous = Some(sequence);
        let Way {
            switches, parent, ..
        } = way;
        level.push(Entry {
            state,
            last,
            switches,
            rank,
            parent,
        });
    }
    level
}

fn trace(levels: &[Vec<Entry>], parent: usize, actor: usize) -> Vec<usize> {
    let mut out = vec![actor];
    let mut at = parent;
    for level in levels.iter().skip(1).rev() {
        let entry = &level[at];
        out.push(entry.last);
        at = entry.parent;
    }
    out.reverse();
    out
}
