//! The search on transition systems at random, beside one that is too simple to be wrong.
//!
//! The fixtures show what kernels do; these small programs do what none of them does: they go round for
//! ever, wait for what never comes, crash, take locks that nobody gives back, and their states have
//! blocks of many widths.
//! `make mutants` runs these tests on mistakes in the search.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mlock_refinement::search::{
    Coverage, Exploration, Finding, Goal, Limits, Notes, Options, Preemptions, Reduction, Sampling,
    Scheduler, System, Taken, explore, is_stuck, sample, shortest,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;

/// An instruction. There are two variables of four values, two locks, and a register for each actor.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Op {
    Set(u8, u8),
    Add(u8),
    Load(u8),
    /// To that instruction if the register has that value.
    Jump(u8, u8),
    /// Waits for the lock, and tells so.
    Lock(u8),
    Unlock(u8),
    /// Waits until a variable has a value, and tells nothing.
    Await(u8, u8),
    /// Tells something if the register has that value.
    Tell(u8, u8),
    /// Ends the run if a variable has a value.
    Crash(u8, u8),
}

const CRASHED: u16 = 40;
const WAITS: u16 = 50;

/// Programs that run together; each block of a state is so many words wide.
#[derive(Clone, Debug)]
struct Programs {
    codes: Vec<Vec<Op>>,
    widths: Vec<usize>,
}

/// Shared variables and registers at ends; those of like actors in order.
#[derive(Debug, Default, PartialEq)]
struct Ends(BTreeSet<Vec<u64>>);

impl Notes for Ends {
    fn merge(&mut self, other: Ends) {
        self.0.extend(other.0);
    }
}

impl Programs {
    /// What a block stands for is in its first word; the others follow from it.
    fn write(&self, values: &[u64], state: &mut Vec<u64>) {
        state.clear();
        for (&value, &width) in values.iter().zip(&self.widths) {
            state.extend((0..width as u64).map(|i| value.wrapping_mul(2 * i + 1)));
        }
    }

    /// The first words of the blocks: what is shared, then of each actor where it is and its register.
    fn read(&self, state: &[u64]) -> Vec<u64> {
        let mut rest = state;
        let mut first = |&width: &usize| {
            let (block, others) = rest.split_at(width);
            rest = others;
            block[0]
        };
        self.widths.iter().map(&mut first).collect()
    }

    fn are_alike(&self) -> bool {
        let like =
            |i: usize| (&self.codes[i], self.widths[i + 1]) == (&self.codes[0], self.widths[1]);
        (1..self.codes.len()).all(like)
    }

    /// What an actor may still do.
    fn ahead(&self, actor: usize, at: usize) -> Vec<Op> {
        let code = &self.codes[actor];
        let (mut seen, mut work) = (BTreeSet::new(), vec![at]);
        while let Some(at) = work.pop() {
            if at < code.len() && seen.insert(at) {
                work.push(at + 1);
                if let Op::Jump(_, to) = code[at] {
                    work.push(usize::from(to));
                }
            }
        }
        seen.into_iter().map(|at| code[at]).collect()
    }
}

/// What an instruction looks at, and what it changes: variables and locks, a bit each.
fn footprint(op: Op) -> (u8, u8) {
    match op {
        Op::Set(var, _) => (0, 1 << var),
        Op::Add(var) => (1 << var, 1 << var),
        Op::Load(var) | Op::Await(var, _) | Op::Crash(var, _) => (1 << var, 0),
        Op::Lock(lock) => (4 << lock, 4 << lock),
        Op::Unlock(lock) => (0, 4 << lock),
        Op::Jump(..) | Op::Tell(..) => (0, 0),
    }
}

fn meet(a: Op, b: Op) -> bool {
    let ((reads, writes), (other_reads, other_writes)) = (footprint(a), footprint(b));
    reads & other_writes | writes & (other_reads | other_writes) != 0
}

impl System for Programs {
    type Notes = Ends;

    fn initial(&self) -> Vec<u64> {
        let mut state = Vec::new();
        self.write(&vec![0; self.widths.len()], &mut state);
        state
    }

    fn blocks(&self) -> Vec<usize> {
        self.widths.clone()
    }

    fn actors(&self) -> usize {
        self.codes.len()
    }

    fn step(
        &self,
        state: &[u64],
        actor: usize,
        next: &mut Vec<u64>,
        findings: &mut Vec<Finding>,
        _: &mut Ends,
    ) -> Taken {
        let mut values = self.read(state);
        let (shared, own) = (values[0], values[actor + 1]);
        let (mut at, mut register) = (own >> 2, own & 3);
        let Some(&op) = self.codes[actor].get(at as usize) else {
            return Taken::Done;
        };
        let var = |var: u8| shared >> (2 * var) & 3;
        let set = |var: u8, value: u64| shared & !(3 << (2 * var)) | (value & 3) << (2 * var);
        let lock = |lock: u8| 1 << (4 + lock);
        at += 1;
        match op {
            Op::Set(v, value) => values[0] = set(v, value.into()),
            Op::Add(v) => values[0] = set(v, var(v) + 1),
            Op::Load(v) => register = var(v),
            Op::Jump(value, to) if register == value.into() => at = to.into(),
            Op::Lock(l) if shared & lock(l) != 0 => {
                findings.push(Finding(WAITS + u16::from(l)));
                return Taken::Blocked;
            }
            Op::Lock(l) => values[0] |= lock(l),
            Op::Unlock(l) => values[0] &= !lock(l),
            Op::Await(v, value) if var(v) != value.into() => return Taken::Blocked,
            Op::Tell(what, value) if register == value.into() => {
                findings.push(Finding(what.into()));
            }
            Op::Crash(v, value) if var(v) == value.into() => {
                findings.push(Finding(CRASHED + u16::from(v)));
                return Taken::Crashed;
            }
            Op::Jump(..) | Op::Await(..) | Op::Tell(..) | Op::Crash(..) => {}
        }
        values[actor + 1] = at << 2 | register;
        self.write(&values, next);
        Taken::Moved
    }

    fn end(&self, state: &[u64], ends: &mut Ends) {
        let mut values = self.read(state);
        if self.are_alike() {
            values[1..].sort_unstable();
        }
        ends.0.insert(values);
    }

    fn label(&self, state: &[u64], actor: usize) -> u32 {
        (self.read(state)[actor + 1] >> 2) as u32
    }

    fn left(&self, state: &[u64], actor: usize) -> usize {
        let at = self.label(state, actor) as usize;
        self.codes[actor].len().saturating_sub(at)
    }

    fn canonical(&self, state: &mut [u64]) {
        if self.are_alike() {
            let (mut values, mut sorted) = (self.read(state), Vec::new());
            values[1..].sort_unstable();
            self.write(&values, &mut sorted);
            state.copy_from_slice(&sorted);
        }
    }

    fn interferers(&self, state: &[u64], actor: usize, _: &mut Ends) -> u32 {
        let at = |actor| self.label(state, actor) as usize;
        let Some(&op) = self.codes[actor].get(at(actor)) else {
            return 0;
        };
        let others = (0..self.actors()).filter(|&other| other != actor);
        let met = others.filter(|&other| self.ahead(other, at(other)).iter().any(|&o| meet(op, o)));
        met.fold(0, |set, other| set | 1 << other)
    }
}

/// The same programs, told nothing of but what has to be.
struct Plain<'p>(&'p Programs);

impl System for Plain<'_> {
    type Notes = Ends;

    fn initial(&self) -> Vec<u64> {
        self.0.initial()
    }

    fn actors(&self) -> usize {
        self.0.actors()
    }

    fn step(
        &self,
        state: &[u64],
        actor: usize,
        next: &mut Vec<u64>,
        findings: &mut Vec<Finding>,
        ends: &mut Ends,
    ) -> Taken {
        self.0.step(state, actor, next, findings, ends)
    }

    fn end(&self, state: &[u64], ends: &mut Ends) {
        self.0.end(state, ends);
    }

    fn label(&self, state: &[u64], actor: usize) -> u32 {
        self.0.label(state, actor)
    }
}

fn op() -> impl Strategy<Value = Op> {
    let (two, four) = (|| 0..2u8, || 0..4u8);
    prop_oneof![
        (two(), four()).prop_map(|(var, value)| Op::Set(var, value)),
        two().prop_map(Op::Add),
        two().prop_map(Op::Load),
        (four(), 0..7u8).prop_map(|(value, to)| Op::Jump(value, to)),
        two().prop_map(Op::Lock),
        two().prop_map(Op::Unlock),
        (two(), four()).prop_map(|(var, value)| Op::Await(var, value)),
        (0..3u8, four()).prop_map(|(what, value)| Op::Tell(what, value)),
        (two(), 1..4u8).prop_map(|(var, value)| Op::Crash(var, value)),
    ]
}

fn programs() -> impl Strategy<Value = Programs> {
    let codes = prop::collection::vec(prop::collection::vec(op(), 1..=6), 1..=3);
    let widths = prop::collection::vec(prop_oneof![4 => 1..4usize, 1 => 5..20usize], 4);
    (codes, widths, any::<bool>()).prop_map(|(mut codes, mut widths, alike)| {
        widths.truncate(codes.len() + 1);
        if alike {
            let (code, width) = (codes[0].clone(), widths[1]);
            codes.fill(code);
            widths[1..].fill(width);
        }
        Programs { codes, widths }
    })
}

/// What a system does, all of it.
#[derive(Debug, Default)]
struct Whole {
    /// Each state, and how far it is from the start.
    depths: BTreeMap<Vec<u64>, usize>,
    /// The states that each step leads to.
    steps: BTreeMap<Vec<u64>, Vec<Vec<u64>>>,
    first: BTreeMap<Finding, usize>,
    ends: Ends,
    /// States without a way on.
    last: BTreeSet<Vec<u64>>,
}

impl Whole {
    fn of<S: System<Notes = Ends>>(system: &S) -> Whole {
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
    fn stuck(&self) -> impl Iterator<Item = &Vec<u64>> {
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

    fn transitions(&self) -> usize {
        self.steps.values().map(Vec::len).sum()
    }

    fn depth(&self) -> usize {
        self.depths.values().copied().max().unwrap_or(0)
    }

    fn told(&self) -> BTreeSet<Finding> {
        self.first.keys().copied().collect()
    }
}

fn search<S: System>(system: &S, options: Options) -> Exploration<S::Notes> {
    explore(system, options, &mut |_| ControlFlow::Continue(()))
}

fn with(limits: Limits) -> Options {
    Options {
        limits,
        ..Options::default()
    }
}

fn reduced(reduction: Reduction) -> Options {
    Options {
        reduction,
        ..Options::default()
    }
}

/// The best schedule to a finding, by trying them all, one step longer each time.
fn best(system: &Programs, finding: Finding, length: usize) -> Vec<usize> {
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
fn told_along(system: &Programs, schedule: &[usize]) -> BTreeSet<Finding> {
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

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 1_500,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_search_sees_what_there_is(system in programs()) {
        let whole = Whole::of(&system);
        let seen = search(&system, Options::default());
        prop_assert_eq!(seen.coverage, Coverage::Exhaustive);
        prop_assert_eq!(seen.states, whole.depths.len());
        prop_assert_eq!(seen.transitions, whole.transitions());
        prop_assert_eq!(seen.steps, whole.transitions());
        prop_assert_eq!(seen.depth, whole.depth());
        prop_assert_eq!(&seen.first, &whole.first);
        prop_assert_eq!(&seen.notes, &whole.ends);
        let stuck: BTreeSet<&Vec<u64>> = whole.stuck().collect();
        for state in whole.depths.keys() {
            prop_assert_eq!(is_stuck(&system, state), stuck.contains(state));
        }
    }

    #[test]
    fn no_reduction_loses_anything(system in programs()) {
        let whole = Whole::of(&system);
        let only = |fuse, ample, symmetry| Reduction { fuse, ample, symmetry };
        let like = only(false, false, true);
        let ways = [only(true, false, false), only(false, true, false), like, Reduction::ALL];
        for reduction in ways {
            let seen = search(&system, reduced(reduction));
            prop_assert_eq!(seen.coverage, Coverage::Exhaustive);
            let told: BTreeSet<Finding> = seen.first.keys().copied().collect();
            prop_assert_eq!(told, whole.told(), "{:?}", reduction);
            prop_assert_eq!(&seen.notes, &whole.ends, "{:?}", reduction);
            prop_assert!(seen.states <= whole.depths.len());
            prop_assert!(seen.steps >= seen.transitions);
        }
        // Where nothing is known of a system, nothing is left out, but what one actor does on its own.
        let seen = search(&Plain(&system), reduced(Reduction::ALL));
        prop_assert_eq!(&seen.notes, &whole.ends);
        if system.codes.len() > 1 {
            prop_assert_eq!(seen.states, whole.depths.len());
            prop_assert_eq!(seen.first, whole.first.clone());
        }
        let canonical = |state: &Vec<u64>| {
            let mut state = state.clone();
            system.canonical(&mut state);
            state
        };
        let classes: BTreeSet<Vec<u64>> = whole.depths.keys().map(canonical).collect();
        let seen = search(&system, reduced(like));
        prop_assert_eq!(seen.states, classes.len());
        prop_assert_eq!(seen.depth, whole.depth());
        prop_assert_eq!(seen.first, whole.first);
    }

    #[test]
    fn a_bound_is_kept_and_said(system in programs(), part in 0..100usize) {
        let whole = Whole::of(&system);
        let depth = part * (whole.depth() + 2) / 100;
        let seen = search(&system, with(Limits { depth, ..Limits::default() }));
        let all = depth > whole.depth();
        prop_assert_eq!(seen.coverage == Coverage::Exhaustive, all);
        let near = whole.depths.values().filter(|d| **d <= depth).count();
        prop_assert_eq!(seen.states, near);
        for (finding, at) in &whole.first {
            // Those that tell in a state tell when it is looked at, and who is stuck shows in the end.
            let by_step = !matches!(*finding, Finding::DEADLOCK | Finding::LIVELOCK)
                && finding.0 < WAITS;
            let early = by_step && *at <= depth || at < &depth && *finding != Finding::LIVELOCK;
            prop_assert_eq!(seen.first.get(finding), (early || all).then_some(at));
        }
        let states = part * whole.depths.len() / 100;
        prop_assert_eq!(search(&system, Options::up_to(states)).coverage, Coverage::Bounded);
        let seen = search(&system, Options::up_to(whole.depths.len()));
        prop_assert_eq!(seen.coverage, Coverage::Exhaustive);
        let bytes = search(&system, Options::default()).bytes;
        let seen = search(&system, with(Limits { bytes: bytes - 1, ..Limits::default() }));
        prop_assert_eq!(seen.coverage, Coverage::Bounded);
        let seen = search(&system, with(Limits { bytes, ..Limits::default() }));
        prop_assert_eq!(seen.coverage, Coverage::Exhaustive);
    }

    #[test]
    fn progress_is_told_level_by_level(system in programs(), stop in 0..9usize) {
        let whole = Whole::of(&system);
        let (mut depth, mut right) = (0, true);
        let seen = explore(&system, Options::default(), &mut |told| {
            let far = |from: usize| whole.depths.values().filter(|d| **d <= from).count();
            let found = far(depth + 1);
            right &= (told.states, told.depth) == (found, depth);
            right &= told.frontier == found - far(depth) && told.bytes > 0;
            depth += 1;
            if depth > stop {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        prop_assert!(right);
        let levels = whole.depth() + 1;
        prop_assert_eq!(depth, levels.min(stop + 1));
        prop_assert_eq!(seen.coverage == Coverage::Exhaustive, levels <= stop);
    }

    #[test]
    fn a_schedule_is_shortest_then_has_the_fewest_switches_then_comes_first(system in programs()) {
        let whole = Whole::of(&system);
        for (&finding, &length) in &whole.first {
            if matches!(finding, Finding::DEADLOCK | Finding::LIVELOCK) {
                continue;
            }
            let found = shortest(&system, &Goal::Told(finding), length).unwrap();
            prop_assert_eq!(&found, &best(&system, finding, length));
            if length > 0 {
                prop_assert_eq!(shortest(&system, &Goal::Told(finding), length - 1), None);
            }
        }
        let never = shortest(&system, &Goal::Told(Finding(99)), usize::MAX);
        prop_assert_eq!(never, None);
        for (state, depth) in &whole.depths {
            let is = |s: &[u64]| s == state;
            let found = shortest(&system, &Goal::State(&is), usize::MAX).unwrap();
            prop_assert_eq!(found.len(), *depth);
            if *depth > 6 {
                break;
            }
        }
    }

    #[test]
    fn a_sample_sees_nothing_else(system in programs(), seed: u64, depth in 1..4usize) {
        let whole = Whole::of(&system);
        for scheduler in [Scheduler::Uniform, Scheduler::Pct { depth }] {
            let sampling = Sampling { scheduler, seed, schedules: 20, most_steps: 60 };
            let seen = sample(&system, sampling, &mut |_| false);
            prop_assert_eq!(seen.runs, 20);
            prop_assert!(seen.steps <= 20 * 60);
            prop_assert!(seen.notes.0.is_subset(&whole.ends.0));
            prop_assert!(seen.cut_short == 20 || !whole.last.is_empty());
            for (finding, met) in &seen.first {
                prop_assert!(met.schedule.len() >= whole.first[finding]);
                prop_assert!((1..=20).contains(&met.run));
                if *finding != Finding::DEADLOCK {
                    prop_assert!(told_along(&system, &met.schedule).contains(finding));
                }
            }
        }
    }

    #[test]
    fn preemptions_are_counted(system in programs(), most in 0..3u16) {
        let can_go_on = |state: &[u64], actor| {
            let mut next = Vec::new();
            let taken = system.step(state, actor, &mut next, &mut Vec::new(), &mut Ends::default());
            matches!(taken, Taken::Moved | Taken::Crashed)
        };
        let (mut seen, mut ends) = (BTreeSet::new(), Ends::default());
        let mut told = Vec::new();
        let mut work = vec![(system.initial(), None, 0)];
        while let Some(at) = work.pop() {
            if !seen.insert(at.clone()) {
                continue;
            }
            let (state, last, left) = at;
            let mut done = true;
            for actor in 0..system.actors() {
                let leaves = last.is_some_and(|last| last != actor && can_go_on(&state, last));
                let left = left + u16::from(leaves);
                let (mut next, mut says) = (Vec::new(), Vec::new());
                let taken =
                    system.step(&state, actor, &mut next, &mut says, &mut Ends::default());
                done &= taken == Taken::Done;
                if left <= most {
                    told.append(&mut says);
                }
                if taken == Taken::Moved && left <= most {
                    work.push((next, Some(actor), left));
                }
            }
            let goes_on = (0..system.actors()).any(|actor| can_go_on(&state, actor));
            if !done && !goes_on {
                told.push(Finding::DEADLOCK);
            }
            if done {
                system.end(&state, &mut ends);
            }
        }
        let limits = Limits { preemptions: Some(most), ..Limits::default() };
        let bounded = search(&Preemptions::new(&system, most), with(limits));
        prop_assert_eq!(bounded.states, seen.len());
        prop_assert_eq!(&bounded.notes, &ends);
        let told: BTreeSet<Finding> = told.into_iter().collect();
        let first: BTreeSet<Finding> = bounded.first.keys().copied().collect();
        prop_assert_eq!(first, told);
    }
}

/// Who reads 1 goes round for ever: whether it does is decided later and later, and the way that the
/// search remembers of a state may be the one that does not end.
#[test]
fn a_livelock_is_found_as_deep_as_it_is() {
    let reader = |vars: &[u8]| -> Vec<Op> {
        let reads = (0..)
            .zip(vars)
            .flat_map(|(i, &var)| [Op::Load(var), Op::Jump(1, 2 * i + 1)]);
        reads.collect()
    };
    let set = |var| vec![Op::Set(var, 1)];
    let both = vec![Op::Set(0, 1), Op::Set(1, 1), Op::Set(0, 0)];
    let toggles = vec![Op::Add(0), Op::Jump(0, 0)];
    for codes in [
        vec![reader(&[0]), set(0)],
        vec![set(0), reader(&[0])],
        vec![reader(&[0, 1]), both.clone()],
        vec![reader(&[0, 1, 0]), both.clone()],
        vec![both, reader(&[1, 0])],
        vec![reader(&[0, 1]), set(0), set(1)],
        vec![set(1), reader(&[1, 0]), set(0)],
        vec![reader(&[0]), toggles.clone()],
        vec![vec![Op::Crash(0, 3), Op::Jump(0, 0)], toggles],
        vec![vec![Op::Tell(0, 0); 3], reader(&[0, 0]), set(0)],
    ] {
        let widths = vec![1; codes.len() + 1];
        let system = Programs { codes, widths };
        let whole = Whole::of(&system);
        let seen = search(&system, Options::default());
        assert_eq!(seen.first, whole.first, "{system:?}");
        let seen = search(&system, reduced(Reduction::ALL));
        let told: BTreeSet<Finding> = seen.first.keys().copied().collect();
        assert_eq!(told, whole.told(), "{system:?}");
    }
}

/// An actor that goes round for ever on its own is enough to try, as far as one step goes; yet the others
/// get their turn.
#[test]
fn nobody_is_left_out_for_ever() {
    let rounds = [
        vec![Op::Jump(0, 0)],
        vec![Op::Load(0), Op::Jump(0, 0)],
        vec![Op::Tell(0, 0), Op::Load(0), Op::Load(0), Op::Jump(0, 1)],
    ];
    for (round, first) in rounds
        .iter()
        .flat_map(|round| [(round, true), (round, false)])
    {
        let other = vec![Op::Load(1), Op::Tell(1, 0), Op::Lock(0), Op::Lock(0)];
        let mut codes = vec![round.clone(), other];
        if !first {
            codes.reverse();
        }
        let system = Programs {
            codes,
            widths: vec![1, 1, 2],
        };
        let whole = Whole::of(&system);
        for fuse in [true, false] {
            for ample in [true, false] {
                let reduction = Reduction {
                    fuse,
                    ample,
                    symmetry: false,
                };
                let seen = search(&system, reduced(reduction));
                let told: BTreeSet<Finding> = seen.first.keys().copied().collect();
                assert_eq!(told, whole.told(), "{system:?} {reduction:?}");
            }
        }
    }
}

/// Actors that count on their own: as many states as there are numbers.
struct Counters {
    to: u64,
    widths: Vec<usize>,
}

impl System for Counters {
    type Notes = ();

    fn initial(&self) -> Vec<u64> {
        vec![0; self.widths.iter().sum()]
    }

    fn blocks(&self) -> Vec<usize> {
        self.widths.clone()
    }

    fn actors(&self) -> usize {
        self.widths.len()
    }

    fn step(
        &self,
        state: &[u64],
        actor: usize,
        next: &mut Vec<u64>,
        _: &mut Vec<Finding>,
        (): &mut (),
    ) -> Taken {
        let at: usize = self.widths[..actor].iter().sum();
        if state[at] == self.to {
            return Taken::Done;
        }
        next.clear();
        next.extend(state);
        // All words count, in steps of different widths.
        for (i, word) in (0..).zip(&mut next[at..at + self.widths[actor]]) {
            *word = word.wrapping_add(u64::pow(37, i % 12));
        }
        Taken::Moved
    }

    fn end(&self, _: &[u64], (): &mut ()) {}

    fn label(&self, state: &[u64], actor: usize) -> u32 {
        let at: usize = self.widths[..actor].iter().sum();
        state[at] as u32
    }
}

#[test]
fn large_spaces_are_kept_whole_and_threads_change_nothing() {
    // The memory is what the lists have room for, so any other way to grow changes these numbers.
    for (to, widths, bytes) in [
        (39, vec![1, 1, 1], 1023895),
        (39, vec![1, 9, 20], 1036655),
        (179, vec![3, 17], 516398),
        (7, vec![2; 5], 479828),
    ] {
        let (actors, numbers) = (widths.len() as u32, to as usize + 1);
        let system = Counters { to, widths };
        let once = search(&system, Options::default());
        assert_eq!(once.states, numbers.pow(actors));
        let from_each = (to as usize) * numbers.pow(actors - 1);
        assert_eq!(once.transitions, actors as usize * from_each);
        assert_eq!(once.depth, actors as usize * to as usize);
        assert_eq!(once.first, BTreeMap::new());
        assert_eq!(once.bytes, bytes);
        for threads in [2, 3] {
            let options = Options {
                threads,
                ..Options::default()
            };
            let again = search(&system, options);
            assert_eq!(
                (again.states, again.transitions, again.depth, again.bytes),
                (once.states, once.transitions, once.depth, once.bytes)
            );
        }
    }
}
