//! What every run does, and what no run does.

use std::ops::Range;

use mlock_spec::{
    Actor, Call, Contract, GuardKind, Law, MarkGuarantee, PageSet, Refusal, State, Transition,
    Violation,
};
use quickcheck::TestResult;

use crate::for_all;
use crate::generate::{Fork, Run};

/// Law: `AccountExactly`.
#[test]
fn accepted_transitions_keep_the_books_balanced() {
    for_all(|run: Run| run.states().iter().all(|state| state.balance() == 0));
}

/// Law: `AccountExactly`.
#[test]
fn transitions_done_against_the_guards_keep_the_balance_too() {
    for_all(|run: Run| {
        let mut state = run.start;
        run.attempts.iter().all(|attempt| {
            state = state.effect(attempt);
            state.balance() == 0
        })
    });
}

/// Law: `AccountExactly`.
#[test]
fn a_wrong_balance_stays_as_wrong_as_it_was() {
    for_all(|(run, error): (Run, i64)| {
        let mut state = run.start;
        state.nr_mlock = error;
        run.attempts.iter().all(|attempt| {
            state = state.effect(attempt);
            state.balance() == error
        })
    });
}

/// Law: `AccountExactly`.
#[test]
fn at_quiescence_the_statistic_is_the_number_of_mlocked_pages() {
    for_all(|run: Run| {
        let mut quiescent = run.states().into_iter().filter(State::is_quiescent);
        quiescent.all(|state| usize::try_from(state.nr_mlock) == Ok(state.mlocked.len()))
    });
}

/// Law: `AccountExactly`.
#[test]
fn nothing_is_lost_unless_somebody_returns_owing() {
    for_all(|run: Run| run.states().iter().all(|state| state.lost == 0));
}

/// Law: `AccountExactly`.
#[test]
fn the_statistic_moves_by_accounting_alone() {
    for_all(|run: Run| {
        run.accepted()
            .iter()
            .all(|(before, transition, after)| match transition {
                Transition::Account { delta, .. } => after.nr_mlock - before.nr_mlock == *delta,
                _ => after.nr_mlock == before.nr_mlock,
            })
    });
}

/// Law: `SplitKeeps`.
#[test]
fn a_split_keeps_every_mark() {
    for_all(|run: Run| {
        let accepted = run.accepted();
        let mut splits = accepted
            .iter()
            .filter(|(_, t, _)| matches!(t, Transition::Split { .. }));
        splits.all(|(before, _, after)| before.mlocked == after.mlocked)
    });
}

/// Law: `SplitKeeps`.
#[test]
fn no_step_of_a_split_call_moves_a_mark_under_the_original_contract() {
    for_all(|run: Run| {
        let run = Run {
            contract: Contract::ORIGINAL,
            ..run
        };
        run.accepted().iter().all(|(before, transition, after)| {
            !splitting(before, transition.actor()) || before.mlocked == after.mlocked
        })
    });
}

/// Law: `SplitKeeps`, under the contract of v4.5.
#[test]
fn a_later_contract_permits_more_to_splits_and_upkeep_and_to_nobody_else() {
    for_all(|run: Run| {
        run.states()
            .iter()
            .zip(&run.attempts)
            .all(|(state, attempt)| {
                let original = state.guards(attempt, &Contract::ORIGINAL);
                let later = state.guards(attempt, &Contract::V4_5);
                let wider = |in_call: bool, guard: GuardKind| {
                    let refused = |r: &Refusal| r.guard.kind() == guard && later.is_ok();
                    in_call && original.as_ref().is_err_and(refused)
                };
                let actor = attempt.actor();
                original == later
                    || wider(splitting(state, actor), GuardKind::MarksInSplit)
                    || wider(upkeeping(state, actor), GuardKind::StillWanted)
            })
    });
}

/// Law: `OthersKeep`.
#[test]
fn nobody_takes_a_mark_or_a_page_that_is_still_wanted() {
    for_all(|run: Run| {
        run.accepted().iter().all(|(before, transition, after)| {
            let actor = transition.actor();
            let waived = run.contract.marks == MarkGuarantee::ClearedAndRemarked
                && (splitting(before, actor) || upkeeping(before, actor));
            let marks = before.mlocked.difference(&after.mlocked);
            let pages = before.present.difference(&after.present);
            let wanted = before.all_wanted();
            pages.is_disjoint(&wanted) && (waived || marks.is_disjoint(&wanted))
        })
    });
}

/// Law: `MunlockTakesEffect`.
#[test]
fn a_quiescent_page_mlocked_for_nobody_is_reported() {
    for_all(|run: Run| {
        let end = run.end();
        let stray = |page: &usize| {
            end.mlocked.contains(*page) && !end.wanted.iter().any(|pages| pages.contains(*page))
        };
        reported(
            &end,
            Law::MunlockTakesEffect,
            (0..end.folios.pages()).filter(stray).collect(),
        )
    });
}

/// Law: `MlockTakesEffect`.
#[test]
fn a_quiescent_page_wanted_and_not_mlocked_is_reported() {
    for_all(|run: Run| {
        let end = run.end();
        let missed = |page: &usize| {
            let wanted = end.wanted.iter().any(|pages| pages.contains(*page));
            wanted && end.present.contains(*page) && !end.mlocked.contains(*page)
        };
        reported(
            &end,
            Law::MlockTakesEffect,
            (0..end.folios.pages()).filter(missed).collect(),
        )
    });
}

#[test]
fn pages_and_marks_always_come_in_whole_folios() {
    for_all(|run: Run| {
        run.states().iter().all(|state| {
            state.folios.is_union_of_folios(&state.mlocked)
                && state.mlocked.is_subset(&state.present)
        })
    });
}

#[test]
fn a_split_undone_by_collapsing_leaves_no_trace() {
    for_all(|run: Run| {
        let accepted = run.accepted();
        accepted
            .iter()
            .all(|(before, transition, after)| match transition {
                Transition::Split { actor, heads, .. } => {
                    let collapse = |state: State, folio| {
                        let folio = PageSet::range(folio);
                        let whole = Transition::Collapse {
                            actor: *actor,
                            folio,
                        };
                        state.apply(&whole, &run.contract).unwrap()
                    };
                    *before
                        == pieces(before, heads)
                            .into_iter()
                            .fold(after.clone(), collapse)
                }
                _ => true,
            })
    });
}

#[test]
fn independent_transitions_of_different_actors_commute() {
    for_all(|fork: Fork| {
        let pairs = independent_pairs(&fork);
        if pairs.is_empty() {
            return TestResult::discard();
        }
        let end = fork.run.end();
        let after = |first, second| {
            let between = end.apply(first, &fork.run.contract);
            between.and_then(|state| state.apply(second, &fork.run.contract))
        };
        TestResult::from_bool(pairs.into_iter().all(|(left, right)| {
            let (one, other) = (after(left, right), after(right, left));
            one.is_ok() && one == other
        }))
    });
}

#[test]
fn a_refused_transition_changes_nothing_however_often_it_is_tried() {
    for_all(|run: Run| {
        let end = run.end();
        run.attempts.iter().all(|attempt| {
            let first = end.apply(attempt, &run.contract);
            first.is_ok() || first == end.apply(attempt, &run.contract)
        })
    });
}

#[test]
fn a_run_ends_the_same_with_its_refused_attempts_left_out() {
    for_all(|run: Run| {
        let attempts = run
            .accepted()
            .into_iter()
            .map(|(_, transition, _)| transition)
            .collect();
        let lean = Run {
            attempts,
            ..run.clone()
        };
        lean.accepted().len() == lean.attempts.len() && lean.end() == run.end()
    });
}

#[test]
fn everybody_who_acts_is_inside_a_call() {
    for_all(|run: Run| {
        run.accepted().iter().all(|(before, transition, after)| {
            let (was, is) = (
                before.call_of(transition.actor()).is_some(),
                after.call_of(transition.actor()).is_some(),
            );
            match transition {
                Transition::Call { .. } => !was && is,
                Transition::Return { .. } => was && !is,
                _ => was && is,
            }
        })
    });
}

/// Returns the folios that a split at `heads` breaks.
pub(crate) fn pieces(state: &State, heads: &PageSet) -> Vec<Range<usize>> {
    state
        .folios
        .iter()
        .filter(|folio| !heads.is_disjoint(&PageSet::range(folio.clone())))
        .collect()
}

/// Returns the accepted pairs of attempts by different actors that share no folio and no address space.
pub(crate) fn independent_pairs(fork: &Fork) -> Vec<(&Transition, &Transition)> {
    let end = fork.run.end();
    let accepted = |attempt: &&Transition| end.guards(attempt, &fork.run.contract).is_ok();
    let attempts: Vec<&Transition> = fork.attempts.iter().filter(accepted).collect();
    let apart = |left: &Transition, right: &Transition| {
        let (near, far) = (folios_touched(&end, left), folios_touched(&end, right));
        let shared = left.mms().iter().any(|mm| right.mms().contains(mm));
        left.actor() != right.actor() && near.is_disjoint(&far) && !shared
    };
    let pairs = attempts
        .iter()
        .flat_map(|left| attempts.iter().map(move |right| (*left, *right)));
    pairs.filter(|(left, right)| apart(left, right)).collect()
}

/// Returns the pages that a transition reads or changes; a call only names its pages.
fn folios_touched(state: &State, transition: &Transition) -> PageSet {
    match transition {
        Transition::Call { .. } => PageSet::new(),
        _ => state.folios.covering(&transition.pages()),
    }
}

fn splitting(state: &State, actor: Actor) -> bool {
    matches!(state.call_of(actor), Some(Call::Split { .. }))
}

fn upkeeping(state: &State, actor: Actor) -> bool {
    state.call_of(actor).is_some_and(Call::is_upkeep)
}

/// Says whether `pages`, and nothing else, is reported for `law` if and only if `state` is quiescent.
fn reported(state: &State, law: Law, pages: PageSet) -> bool {
    let due = state.call.iter().flatten().count() == 0 && !pages.is_empty();
    let expected = due.then_some(Violation { law, pages });
    state
        .quiescent_violations()
        .into_iter()
        .find(|violation| violation.law == law)
        == expected
}

#[test]
fn the_first_guard_that_refuses_is_told_and_every_one_that_refuses_is_asked() {
    for_all(|run: Run| {
        let states = run.states();
        states.iter().zip(&run.attempts).all(|(state, attempt)| {
            let refusals = state.refusals(attempt, &run.contract);
            let told = state.guards(attempt, &run.contract).err();
            let asked = state.asked(attempt, &run.contract);
            told.map(|refusal| refusal.guard).as_ref() == refusals.first()
                && refusals.iter().all(|guard| asked.contains(&guard.kind()))
        })
    });
}
