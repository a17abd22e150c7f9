//! Random memory, random runs, random transitions.
//!
//! A transition is proposed for a given state, so that most are sensible, many are off by a little, and some are nonsense.

use mlock_spec::{Actor, Call, Contract, Folios, Mm, PageSet, State, Transition};
use quickcheck::{Arbitrary, Gen};

/// A random run: where it starts, what is attempted, and under which contract.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) start: State,
    pub(crate) attempts: Vec<Transition>,
    pub(crate) contract: Contract,
}

/// Attempts that are worth a try after a run; the run itself is `run`.
#[derive(Clone, Debug)]
pub(crate) struct Fork {
    pub(crate) run: Run,
    pub(crate) attempts: Vec<Transition>,
}

impl Run {
    /// Returns the state after all attempts, where refused ones change nothing.
    pub(crate) fn end(&self) -> State {
        self.states().pop().unwrap()
    }

    /// Returns all states, first to last, where refused attempts change nothing.
    pub(crate) fn states(&self) -> Vec<State> {
        let mut states = vec![self.start.clone()];
        for attempt in &self.attempts {
            let before = states.last().unwrap();
            states.push(
                before
                    .apply(attempt, &self.contract)
                    .unwrap_or_else(|_| before.clone()),
            );
        }
        states
    }

    /// Returns the attempts that are accepted, each with the states before and after it.
    pub(crate) fn accepted(&self) -> Vec<(State, Transition, State)> {
        let states = self.states();
        let steps = states.iter().zip(&self.attempts).zip(states.iter().skip(1));
        steps
            .filter(|((before, attempt), _)| before.guards(attempt, &self.contract).is_ok())
            .map(|((before, attempt), after)| (before.clone(), attempt.clone(), after.clone()))
            .collect()
    }
}

impl Arbitrary for Run {
    fn arbitrary(g: &mut Gen) -> Self {
        let start = State::new(folios(g), 1 + below(g, 3), 1 + below(g, 3));
        let contract = *g.choose(&Contract::ALL).unwrap();
        let mut run = Run {
            start,
            attempts: Vec::new(),
            contract,
        };
        let mut state = run.start.clone();
        for _ in 0..below(g, 60) {
            let attempt = propose(g, &state);
            state = state.apply(&attempt, &contract).unwrap_or(state);
            run.attempts.push(attempt);
        }
        run
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let run = self.clone();
        let without = move |index| {
            let mut smaller = run.clone();
            smaller.attempts.remove(index);
            smaller
        };
        Box::new((0..self.attempts.len()).rev().map(without))
    }
}

impl Arbitrary for Fork {
    fn arbitrary(g: &mut Gen) -> Self {
        let run = Run::arbitrary(g);
        let end = run.end();
        let attempts = (0..12).map(|_| propose(g, &end)).collect();
        Fork { run, attempts }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let attempts = self.attempts.clone();
        Box::new(self.run.shrink().map(move |run| Fork {
            run,
            attempts: attempts.clone(),
        }))
    }
}

/// A random set of pages, sparse or in runs, sometimes past the first word.
#[derive(Clone, Debug)]
pub(crate) struct Pages(pub(crate) PageSet);

impl Arbitrary for Pages {
    fn arbitrary(g: &mut Gen) -> Self {
        let size = *g.choose(&[1, 5, 64, 65, 200]).unwrap();
        Pages(subset(g, size))
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let pages = self.0.clone();
        Box::new(
            self.0
                .clone()
                .iter()
                .collect::<Vec<_>>()
                .into_iter()
                .map(move |page| {
                    let mut smaller = pages.clone();
                    smaller.remove(page);
                    Pages(smaller)
                }),
        )
    }
}

/// A random partition of a random number of pages.
#[derive(Clone, Debug)]
pub(crate) struct Memory(pub(crate) Folios);

impl Arbitrary for Memory {
    fn arbitrary(g: &mut Gen) -> Self {
        Memory(folios(g))
    }
}

fn folios(g: &mut Gen) -> Folios {
    let pages = *g.choose(&[1, 2, 4, 5, 8, 8, 70]).unwrap();
    let heads = subset(g, pages);
    Folios::new(pages, heads)
}

/// Proposes a transition that has something to do with `state`.
pub(crate) fn propose(g: &mut Gen, state: &State) -> Transition {
    let actor = Actor(index(g, state.debt.len()));
    let mm = Mm(index(g, state.wanted.len()));
    match below(g, 14) {
        0 => Transition::Call {
            actor,
            call: call(g, state),
        },
        1 => Transition::Want {
            actor,
            mm,
            pages: pages(g, state, &state.present),
        },
        2 | 3 => {
            let wanted = state.wanted_by(mm).cloned().unwrap_or_default();
            Transition::Unwant {
                actor,
                mm,
                pages: pages(g, state, &wanted),
            }
        }
        4 | 5 => {
            let markable = state.present.difference(&state.mlocked);
            Transition::Mark {
                actor,
                pages: pages(g, state, &markable),
            }
        }
        6 => Transition::Clear {
            actor,
            pages: pages(g, state, &state.mlocked),
        },
        7 | 8 => {
            let debt = state.debt_of(actor);
            let delta = *g
                .choose(&[debt, debt, debt, 0, debt + 1, -debt, -1, i64::MIN])
                .unwrap();
            Transition::Account { actor, delta }
        }
        9 => {
            let tails = memory(state).difference(state.folios.heads());
            let heads = pages(g, state, &tails);
            let before = state.mlocked.intersection(&state.folios.covering(&heads));
            let mlocked = if often(g) {
                before
            } else {
                pages(g, state, &before)
            };
            Transition::Split {
                actor,
                heads,
                mlocked,
            }
        }
        10 => Transition::Collapse {
            actor,
            folio: neighbours(g, state),
        },
        11 => {
            let idle = state
                .present
                .difference(&state.mlocked)
                .difference(&state.all_wanted());
            Transition::Free {
                actor,
                pages: pages(g, state, &idle),
            }
        }
        _ => Transition::Return { actor },
    }
}

fn call(g: &mut Gen, state: &State) -> Call {
    let mm = Mm(index(g, state.wanted.len()));
    let some = pages(g, state, &memory(state));
    match below(g, 8) {
        0 => Call::Mlock { mm, pages: some },
        1 => Call::Munlock { mm, pages: some },
        2 => Call::Unmap { mm, pages: some },
        3 => Call::Exit { mm },
        4 => Call::Fork {
            parent: mm,
            child: Mm(index(g, state.wanted.len())),
        },
        5 => Call::Upkeep { pages: some },
        _ => Call::Split { folio: some },
    }
}

/// Picks pages: most often whole folios out of `sensible`, now and then anything.
fn pages(g: &mut Gen, state: &State, sensible: &PageSet) -> PageSet {
    let some = subset(g, state.folios.pages());
    match below(g, 12) {
        0 => some,
        1 => state.folios.covering(&some),
        2 => some.union(&PageSet::range(90..92)),
        3 => PageSet::new(),
        4 | 5 => some.intersection(sensible),
        6 => sensible.clone(),
        _ => state
            .folios
            .covering(&some.intersection(sensible))
            .intersection(sensible),
    }
}

/// Picks a few folios in a row, most often.
fn neighbours(g: &mut Gen, state: &State) -> PageSet {
    let length = state.folios.pages();
    let (start, end) = (below(g, length), below(g, length + 1));
    let run = state
        .folios
        .covering(&PageSet::range(start.min(end)..end.max(start)));
    if often(g) { run } else { pages(g, state, &run) }
}

fn memory(state: &State) -> PageSet {
    PageSet::range(0..state.folios.pages())
}

/// Picks a subset of `0..size`: few, half or most of the pages, or one run.
fn subset(g: &mut Gen, size: usize) -> PageSet {
    match below(g, 4) {
        0 => {
            let (start, end) = (below(g, size), below(g, size + 1));
            PageSet::range(start..end.max(start))
        }
        odds => (0..size).filter(|_| below(g, 4) < odds).collect(),
    }
}

/// Picks one of `count` things, and rarely one that is not there.
fn index(g: &mut Gen, count: usize) -> u8 {
    let count = if below(g, 20) == 0 { count + 1 } else { count };
    u8::try_from(below(g, count)).unwrap()
}

fn often(g: &mut Gen) -> bool {
    below(g, 4) != 0
}

fn below(g: &mut Gen, bound: usize) -> usize {
    usize::arbitrary(g) % bound
}
