//! The search on transition systems at random, beside one that is too simple to be wrong.
//!
//! The fixtures show what kernels do; these small programs do what none of them does: they go round for
//! ever, wait for what never comes, crash, take locks that nobody gives back, and their states have
//! blocks of many widths.
//! `make mutants` runs these tests on mistakes in the search.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod counters;
mod programs;
mod whole;

use counters::Counters;
use mlock_refinement::search::{
    Coverage, Exploration, Finding, Goal, Limits, Options, Preemptions, Reduction, Sampling,
    Scheduler, System, Taken, explore, is_stuck, sample, shortest,
};
use programs::{Ends, Op, Plain, Programs, WAITS, programs};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use whole::{Whole, best, told_along};

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
