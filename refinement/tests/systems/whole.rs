//! A search that is too simple to be wrong: everything that a system does, and its best schedules.

use crate::programs::{Ends, Programs};
use mlock_refinement::search::{Finding, System, Taken};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a system does, all of it.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    /// Each state, and how far it is from the start.
    pub(crate) depths: BTreeMap<Vec<u64>, usize>,
    /// The states that each step leads to.
    steps: BTreeMap<Vec<u64>, Vec<Vec<u64>>>,
    pub(crate) first: BTreeMap<Finding, usize>,
    pub(crate) ends: Ends,
    /// States without a way on.
    pub(crate) last: BTreeSet<Vec<u64>>,
}

impl Whole {
    pub(crate) fn of<S: System<Notes = Ends>>(system: &S) -> Whole {
        let mut whole = Whole::default();
        let mut tell = |finding, depth| {
            let first = whole.first.entry(finding).or_insert(depth);
            *first = depth.min(*first);
        };
        whole.depths.insert(system.initial(), 0);
        let mut work = VecDeque::from([system.initial()]);
        while let Some(state) = work.pop_front() {
            let depth = whole.depths[&state];
            let mut became = Vec::new();
            let mut next_ones = Vec::new();
            for actor in 0..system.actors() {
                let (mut next, mut told) = (Vec::new(), Vec::new());
                let taken = system.step(&state, actor, &mut next, &mut told, &mut Ends::default());
                let at = depth + usize::from(taken != Taken::Blocked);
                told.into_iter().for_each(|finding| tell(finding, at));
                became.push(taken);
                if taken == Taken::Moved {
                    if !whole.depths.contains_key(&next) {
                        whole.depths.insert(next.clone(), depth + 1);
                        work.push_back(next.clone());
                    }
                    next_ones.push(next);
                }
            }
            if became.iter().all(|taken| *taken == Taken::Done) {
                system.end(&state, &mut whole.ends);
            }
            let crashes = became.contains(&Taken::Crashed);
            if next_ones.is_empty() && !crashes && became.contains(&Taken::Blocked) {
                tell(Finding::DEADLOCK, depth);
            }
            if next_ones.is_empty() || crashes {
                whole.last.insert(state.clone());
            }
            whole.steps.insert(state, next_ones);
        }
        if let Some(depth) = whole.stuck().map(|state| whole.depths[state]).min() {
            whole.first.insert(Finding::LIVELOCK, depth);
        }
        whole
    }

    /// The states from which none without a way on is reached.
    pub(crate) fn stuck(&self) -> impl Iterator<Item = &Vec<u64>> {
        let mut free = self.last.clone();
        loop {
            let leads = |next: &Vec<Vec<u64>>| next.iter().any(|next| free.contains(next));
            let more = self.steps.iter().filter(|(_, next)| leads(next));
            let more: Vec<_> = more.map(|(state, _)| state.clone()).collect();
            let before = free.len();
            free.extend(more);
            if free.len() == before {
                break;
            }
        }
        self.depths
            .keys()
            .filter(move |state| !free.contains(*state))
    }

    pub(crate) fn transitions(&self) -> usize {
        self.steps.values().map(Vec::len).sum()
    }

    pub(crate) fn depth(&self) -> usize {
        self.depths.values().copied().max().unwrap_or(0)
    }

    pub(crate) fn told(&self) -> BTreeSet<Finding> {
        self.first.keys().copied().collect()
    }
}

/// The best schedule to a finding, by trying them all, one step longer each time.
pub(crate) fn best(system: &Programs, finding: Finding, length: usize) -> Vec<usize> {
    /// Switches, labels and actors.
    type Way = (usize, Vec<(u32, usize)>);
    let mut level: BTreeMap<(Vec<u64>, Option<usize>), Way> = BTreeMap::new();
    level.insert((system.initial(), None), Way::default());
    let mut hits: Vec<Way> = Vec::new();
    let tells = |state: &[u64], actor: usize, wanted: Taken| {
        let (mut next, mut told) = (Vec::new(), Vec::new());
        let taken = system.step(state, actor, &mut next, &mut told, &mut Ends::default());
        ((taken == wanted) && told.contains(&finding), taken, next)
    };
    for step in 1..=length {
        let mut below: BTreeMap<(Vec<u64>, Option<usize>), Way> = BTreeMap::new();
        for ((state, last), (switches, labels)) in &level {
            for actor in 0..system.actors() {
                let (tells_moving, taken, next) = tells(state, actor, Taken::Moved);
                if matches!(taken, Taken::Blocked | Taken::Done) {
                    continue;
                }
                let switches = switches + usize::from(last.is_some_and(|last| last != actor));
                let label = (system.label(state, actor), actor);
                let way = (switches, [&labels[..], &[label]].concat());
                let crashing = tells(state, actor, Taken::Crashed).0;
                let moved = taken == Taken::Moved;
                let waits = |a| tells(&next, a, Taken::Blocked).0;
                if tells_moving || crashing || moved && (0..system.actors()).any(waits) {
                    assert_eq!(step, length, "no way to {finding:?} is shorter");
                    hits.push(way.clone());
                }
                if moved {
                    let known = below.entry((next, Some(actor))).or_insert(way.clone());
                    *known = way.min(known.clone());
                }
            }
        }
        level = below;
    }
    let (_, labels) = hits.into_iter().min().unwrap();
    labels.into_iter().map(|(_, actor)| actor).collect()
}

/// What a run along a schedule tells, in the end by those that wait, too.
pub(crate) fn told_along(system: &Programs, schedule: &[usize]) -> BTreeSet<Finding> {
    let (mut state, mut told) = (system.initial(), Vec::new());
    let mut step = |state: &[u64], actor| {
        let mut next = Vec::new();
        let taken = system.step(state, actor, &mut next, &mut told, &mut Ends::default());
        (taken, next)
    };
    for &actor in schedule {
        let (taken, next) = step(&state, actor);
        match taken {
            Taken::Moved => state = next,
            _ => assert_eq!(taken, Taken::Crashed),
        }
    }
    for actor in 0..system.actors() {
        step(&state, actor);
    }
    told.into_iter().collect()
}
