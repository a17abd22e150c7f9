//! Every *always* has a *sometimes*: what the random runs reach.

use std::collections::{BTreeMap, BTreeSet};

use mlock_spec::{Contract, GuardKind, Law, State, Transition, TransitionKind};
use quickcheck::{Arbitrary, Gen};

use crate::generate::{Fork, Run};
use crate::runs::{independent_pairs, pieces};

/// Returns the same runs every time.
fn sample() -> Vec<Run> {
    let mut g = Gen::from_size_and_seed(100, 1);
    (0..2_000).map(|_| Run::arbitrary(&mut g)).collect()
}

fn attempts(runs: &[Run]) -> impl Iterator<Item = (State, &Transition, Contract)> {
    runs.iter().flat_map(|run| {
        let states = run.states().into_iter();
        states
            .zip(&run.attempts)
            .map(|(state, attempt)| (state, attempt, run.contract))
    })
}

#[test]
fn every_transition_is_tried_both_in_vain_and_with_success() {
    let mut tried: BTreeMap<(TransitionKind, bool), usize> = BTreeMap::new();
    for (state, attempt, contract) in attempts(&sample()) {
        let accepted = state.guards(attempt, &contract).is_ok();
        *tried.entry((attempt.kind(), accepted)).or_default() += 1;
    }
    for kind in TransitionKind::ALL {
        for accepted in [false, true] {
            let times = tried.get(&(kind, accepted)).copied().unwrap_or(0);
            assert!(
                times >= 50,
                "{kind}, accepted: {accepted}: only {times} times"
            );
        }
    }
}

#[test]
fn every_guard_refuses_something_under_every_contract() {
    for contract in Contract::ALL {
        let runs = sample();
        let fired: BTreeSet<GuardKind> = attempts(&runs)
            .filter(|(_, _, used)| *used == contract)
            .filter_map(|(state, attempt, _)| state.guards(attempt, &contract).err())
            .map(|refusal| refusal.guard.kind())
            .collect();
        for kind in GuardKind::ALL {
            let expected = kind != GuardKind::MarksInSplit || contract == Contract::ORIGINAL;
            assert_eq!(fired.contains(&kind), expected, "{kind} under {contract}");
        }
    }
}

#[test]
fn every_transition_has_an_independent_partner() {
    let mut g = Gen::from_size_and_seed(100, 2);
    let forks: Vec<Fork> = (0..2_000).map(|_| Fork::arbitrary(&mut g)).collect();
    let paired: BTreeSet<TransitionKind> = forks
        .iter()
        .flat_map(independent_pairs)
        .flat_map(|(left, right)| [left.kind(), right.kind()])
        .collect();
    assert_eq!(paired, BTreeSet::from(TransitionKind::ALL));
}

#[test]
fn quiescent_states_both_keep_and_break_the_laws_about_taking_effect() {
    let mut seen: BTreeSet<(Law, bool)> = BTreeSet::new();
    for run in sample() {
        for state in run
            .states()
            .iter()
            .skip(1)
            .filter(|state| state.is_quiescent())
        {
            let broken = state.quiescent_violations();
            for law in [Law::MunlockTakesEffect, Law::MlockTakesEffect] {
                seen.insert((law, broken.iter().any(|violation| violation.law == law)));
            }
        }
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
}

#[test]
fn splits_of_several_mlocked_folios_at_once_do_occur() {
    let splits_many = |run: &Run| {
        run.accepted()
            .iter()
            .any(|(before, transition, _)| match transition {
                Transition::Split { heads, mlocked, .. } => {
                    pieces(before, heads).len() > 1 && !mlocked.is_empty()
                }
                _ => false,
            })
    };
    assert!(sample().iter().any(splits_many));
}
