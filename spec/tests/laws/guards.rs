//! One refusal for every guard, in plain words.

use std::collections::BTreeSet;

use mlock_spec::{AtRest, Contract, Guard, GuardKind, Law, PageSet, Refusal, State, Transition};

use crate::read;

/// Two folios of 4 pages: the first idle, the second mlocked and wanted by B; CPU0 is inside a call, CPU1 is not.
fn start() -> State {
    let mut state = State::new(read("[0-3][4-7]"), 2, 2);
    state.mlocked = read("{4-7}");
    state.nr_mlock = 4;
    state.wanted[1] = read("{4-7}");
    state.call[0] = Some(read("munlock(A, {0-7})"));
    state
}

fn with(change: impl FnOnce(&mut State)) -> State {
    let mut state = start();
    change(&mut state);
    state
}

/// Attempts a transition and returns who refuses it, and in which words.
fn refusal(state: &State, transition: &str) -> (GuardKind, Law, String) {
    refusal_under(&Contract::ORIGINAL, state, transition)
}

fn refusal_under(contract: &Contract, state: &State, transition: &str) -> (GuardKind, Law, String) {
    let transition: Transition = read(transition);
    let refusal = state.apply(&transition, contract).unwrap_err();
    assert_eq!(refusal.transition, transition);
    (refusal.guard.kind(), refusal.law(), refusal.to_string())
}

/// States a refusal: by which guard, for which law, in which words.
macro_rules! refuses {
    ($state:expr, $transition:literal, $guard:ident, $law:ident, $words:literal) => {
        assert_eq!(
            refusal(&$state, $transition),
            (GuardKind::$guard, Law::$law, $words.to_owned())
        )
    };
}

fn accepts(state: &State, transition: &str) {
    assert_eq!(state.guards(&read(transition), &Contract::ORIGINAL), Ok(()));
}

#[test]
fn unknown_actors_do_nothing() {
    refuses!(
        start(),
        "CPU2: Return",
        UnknownActor,
        AccountExactly,
        "Return refused: there is no CPU2"
    );
}

#[test]
fn unknown_address_spaces_want_nothing() {
    refuses!(
        start(),
        "CPU0: Want C {0}",
        UnknownMm,
        AccountExactly,
        "Want 1 refused: there is no address space C"
    );
    refuses!(
        start(),
        "CPU1: Call fork(A, C)",
        UnknownMm,
        AccountExactly,
        "Call refused: there is no address space C"
    );
}

#[test]
fn nothing_happens_outside_memory() {
    refuses!(
        start(),
        "CPU0: Mark {0-9}",
        OutsideMemory,
        AccountExactly,
        "Mark 10 refused: {8-9} outside memory"
    );
    refuses!(
        start(),
        "CPU0: Split at {1} with {8} mlocked",
        OutsideMemory,
        AccountExactly,
        "Split refused: {8} outside memory"
    );
    refuses!(
        start(),
        "CPU1: Call mlock(A, {7-8})",
        OutsideMemory,
        AccountExactly,
        "Call refused: {8} outside memory"
    );
}

#[test]
fn nobody_is_inside_two_calls() {
    refuses!(
        start(),
        "CPU0: Call exit(A)",
        CallInFlight,
        AccountExactly,
        "Call refused: munlock(A, {0-7}) is in flight"
    );
    accepts(&start(), "CPU1: Call exit(A)");
}

#[test]
fn nobody_acts_outside_calls() {
    refuses!(
        start(),
        "CPU1: Return",
        NoCall,
        AccountExactly,
        "Return refused: no call is in flight"
    );
    refuses!(
        start(),
        "CPU1: Mark {0-3}",
        NoCall,
        AccountExactly,
        "Mark 4 refused: no call is in flight"
    );
}

#[test]
fn a_transition_about_pages_names_some() {
    for transition in [
        "CPU0: Want A {}",
        "CPU0: Unwant A {}",
        "CPU0: Mark {}",
        "CPU0: Clear {}",
        "CPU0: Split at {} with {} mlocked",
        "CPU0: Collapse {}",
        "CPU0: Free {}",
    ] {
        let (guard, law, _) = refusal(&start(), transition);
        assert_eq!(
            (guard, law),
            (GuardKind::NoPages, Law::AccountExactly),
            "{transition}"
        );
    }
    refuses!(
        start(),
        "CPU0: Mark {}",
        NoPages,
        AccountExactly,
        "Mark 0 refused: no page is named"
    );
}

#[test]
fn absent_pages_are_neither_marked_nor_freed() {
    let freed = with(|state| state.present = read("{2-7}"));
    refuses!(
        freed,
        "CPU0: Mark {0-3}",
        NotPresent,
        AccountExactly,
        "Mark 4 refused: {0-1} not present"
    );
    refuses!(
        freed,
        "CPU0: Free {0-3}",
        NotPresent,
        AccountExactly,
        "Free 4 refused: {0-1} not present"
    );
}

#[test]
fn folios_are_marked_cleared_collapsed_and_freed_whole() {
    refuses!(
        start(),
        "CPU0: Mark {0-2}",
        CutsFolio,
        AccountExactly,
        "Mark 3 refused: {3} of the same folio left out"
    );
    for transition in ["CPU0: Clear {4}", "CPU0: Collapse {3-7}", "CPU0: Free {0}"] {
        assert_eq!(
            refusal(&start(), transition).0,
            GuardKind::CutsFolio,
            "{transition}"
        );
    }
}

#[test]
fn nothing_is_marked_twice() {
    refuses!(
        start(),
        "CPU0: Mark {0-7}",
        AlreadyMlocked,
        AccountExactly,
        "Mark 8 refused: {4-7} already mlocked"
    );
}

#[test]
fn nothing_is_cleared_twice() {
    refuses!(
        start(),
        "CPU0: Clear {0-7}",
        NotMlocked,
        AccountExactly,
        "Clear 8 refused: {0-3} not mlocked"
    );
}

/// Law: `SplitKeeps`.
#[test]
fn a_split_call_leaves_marks_alone_unless_the_contract_says_otherwise() {
    let splitting = with(|state| state.call[0] = Some(read("split({4-7})")));
    refuses!(
        splitting,
        "CPU0: Clear {4-7}",
        MarksInSplit,
        SplitKeeps,
        "Clear 4 refused: a split leaves marks alone"
    );
    refuses!(
        splitting,
        "CPU0: Mark {0-3}",
        MarksInSplit,
        SplitKeeps,
        "Mark 4 refused: a split leaves marks alone"
    );
    let cleared = splitting
        .apply(&read("CPU0: Clear {4-7}"), &Contract::V4_5)
        .unwrap();
    let marked = cleared
        .apply(&read("CPU0: Mark {4-7}"), &Contract::V4_5)
        .unwrap();
    assert_eq!(marked, splitting, "what was owed one way is owed back");
}

/// Law: `OthersKeep`.
#[test]
fn what_another_still_wants_is_neither_cleared_nor_freed() {
    let halfway = with(|state| state.wanted[1] = read("{6-7}"));
    refuses!(
        halfway,
        "CPU0: Clear {4-7}",
        StillWanted,
        OthersKeep,
        "Clear 4 refused: {6-7} still wanted by B"
    );
    refuses!(
        halfway,
        "CPU0: Free {4-7}",
        StillWanted,
        OthersKeep,
        "Free 4 refused: {6-7} still wanted by B"
    );
}

/// Law: `OthersKeep`.
#[test]
fn only_splits_and_upkeep_may_clear_what_is_wanted_under_the_later_contracts() {
    let (guard, law, _) = refusal_under(&Contract::V4_5, &start(), "CPU0: Clear {4-7}");
    assert_eq!((guard, law), (GuardKind::StillWanted, Law::OthersKeep));
}

/// Law: `OthersKeep`.
#[test]
fn upkeep_may_clear_what_is_wanted_under_the_later_contracts() {
    let upkeep = with(|state| state.call[0] = Some(read("migrate({4-7})")));
    let clear = read("CPU0: Clear {4-7}");
    let refusal = upkeep.guards(&clear, &Contract::ORIGINAL).unwrap_err();
    assert_eq!(refusal.guard.kind(), GuardKind::StillWanted);
    for contract in [Contract::V4_5, Contract::V5_18] {
        let cleared = upkeep.apply(&clear, &contract).unwrap();
        let marked = cleared.apply(&read("CPU0: Mark {4-7}"), &contract);
        assert_eq!(marked.unwrap(), upkeep);
    }
}

/// Law: `MunlockTakesEffect`.
#[test]
fn what_is_put_off_is_excused_until_it_is_seen_to_and_what_a_list_keeps_is_not() {
    let end = with(|state| {
        state.call = vec![None; 2];
        state.wanted = vec![PageSet::new(); 2];
        state.mlocked = read("{0-3}");
    });
    let stray = |contract: &Contract, put_off: &str, kept: &str| -> PageSet {
        let lists = AtRest {
            put_off: read(put_off),
            kept: read(kept),
        };
        let found = end.violations_at_rest(contract, &lists);
        let stray = found.into_iter().find(|v| v.law == Law::MunlockTakesEffect);
        stray.map(|violation| violation.pages).unwrap_or_default()
    };
    assert_eq!(stray(&Contract::V4_5, "{0-3}", "{}"), read("{0-3}"));
    assert_eq!(stray(&Contract::V5_18, "{0-3}", "{}"), read("{}"));
    assert_eq!(stray(&Contract::V5_18, "{0-1}", "{}"), read("{2-3}"));
    assert_eq!(stray(&Contract::V5_18, "{0-3}", "{4}"), read("{4}"));
}

#[test]
fn a_mlocked_page_is_not_freed() {
    let unwanted = with(|state| state.wanted[1] = read("{}"));
    refuses!(
        unwanted,
        "CPU0: Free {0-7}",
        StillMlocked,
        AccountExactly,
        "Free 8 refused: {4-7} still mlocked"
    );
}

/// Law: `AccountExactly`.
#[test]
fn nobody_pays_more_or_less_than_is_owed() {
    let owing = with(|state| state.debt[0] = -3);
    refuses!(
        owing,
        "CPU0: Account −4",
        WrongDelta,
        AccountExactly,
        "Account −4 refused: debt is −3"
    );
    refuses!(
        owing,
        "CPU0: Account 0",
        WrongDelta,
        AccountExactly,
        "Account 0 refused: debt is −3"
    );
    refuses!(
        start(),
        "CPU0: Account +1",
        WrongDelta,
        AccountExactly,
        "Account +1 refused: debt is 0"
    );
    accepts(&owing, "CPU0: Account −3");
}

#[test]
fn nobody_pays_nothing() {
    refuses!(
        start(),
        "CPU0: Account 0",
        NothingOwed,
        AccountExactly,
        "Account 0 refused: nothing is owed"
    );
}

/// Law: `AccountExactly`.
#[test]
fn nobody_returns_owing() {
    for (debt, words) in [
        (4, "Return refused: debt is +4"),
        (-1, "Return refused: debt is −1"),
    ] {
        let owing = with(|state| state.debt[0] = debt);
        let expected = (
            GuardKind::DebtAtReturn,
            Law::AccountExactly,
            words.to_owned(),
        );
        assert_eq!(refusal(&owing, "CPU0: Return"), expected);
    }
    let other_owes = with(|state| state.debt[1] = 4);
    accepts(&other_owes, "CPU0: Return");
}

#[test]
fn a_split_makes_new_heads_only() {
    refuses!(
        start(),
        "CPU0: Split at {0-1} with {} mlocked",
        AlreadyHeads,
        SplitKeeps,
        "Split refused: {0} already a head"
    );
}

/// Law: `SplitKeeps`.
#[test]
fn a_split_neither_drops_nor_adds_marks() {
    refuses!(
        start(),
        "CPU0: Split at {5} with {4} mlocked",
        SplitChangesMarks,
        SplitKeeps,
        "Split refused: {4-7} mlocked before, {4} after"
    );
    refuses!(
        start(),
        "CPU0: Split at {1} with {0} mlocked",
        SplitChangesMarks,
        SplitKeeps,
        "Split refused: {} mlocked before, {0} after"
    );
    accepts(&start(), "CPU0: Split at {1, 5} with {4-7} mlocked");
}

#[test]
fn only_neighbours_collapse() {
    let three = with(|state| state.folios = read("[0-1][2-3][4-7]"));
    refuses!(
        three,
        "CPU0: Collapse {0-1, 4-7}",
        NotOneRun,
        AccountExactly,
        "Collapse refused: pages are not neighbours"
    );
    accepts(&three, "CPU0: Collapse {0-3}");
}

#[test]
fn one_folio_does_not_collapse() {
    refuses!(
        start(),
        "CPU0: Collapse {0-3}",
        OneFolio,
        AccountExactly,
        "Collapse refused: pages are one folio already"
    );
}

#[test]
fn only_folios_with_the_same_mark_collapse() {
    refuses!(
        start(),
        "CPU0: Collapse {0-7}",
        MixedMarks,
        AccountExactly,
        "Collapse refused: only {4-7} mlocked"
    );
    accepts(
        &with(|state| state.mlocked = read("{0-7}")),
        "CPU0: Collapse {0-7}",
    );
}

#[test]
fn nobody_wants_a_page_twice() {
    refuses!(
        start(),
        "CPU0: Want B {3-4}",
        AlreadyWanted,
        AccountExactly,
        "Want 2 refused: {4} already wanted by B"
    );
    accepts(&start(), "CPU0: Want A {3-4}");
}

#[test]
fn nobody_gives_up_what_they_do_not_want() {
    refuses!(
        start(),
        "CPU0: Unwant B {3-4}",
        NotWanted,
        AccountExactly,
        "Unwant 2 refused: {3} not wanted by B"
    );
}

#[test]
fn sense_is_asked_for_before_anything_else() {
    let bad = with(|state| state.debt[1] = 3);
    let first = |transition: &str| refusal(&bad, transition).0;
    assert_eq!(first("CPU2: Mark {9}"), GuardKind::UnknownActor);
    assert_eq!(first("CPU1: Mark {9}"), GuardKind::OutsideMemory);
    assert_eq!(first("CPU1: Clear {4}"), GuardKind::NoCall);
    assert_eq!(first("CPU0: Clear {4}"), GuardKind::CutsFolio);
}

#[test]
fn guards_uphold_only_laws_about_single_steps() {
    let upheld: BTreeSet<Law> = GuardKind::ALL.into_iter().map(GuardKind::law).collect();
    assert_eq!(
        upheld,
        BTreeSet::from([Law::AccountExactly, Law::SplitKeeps, Law::OthersKeep])
    );
}

#[test]
fn a_refusal_is_an_error_like_any_other() {
    let refusal = Refusal {
        transition: read("CPU0: Account −4"),
        guard: Guard::WrongDelta { debt: -3 },
    };
    let error: Box<dyn std::error::Error> = Box::new(refusal);
    assert_eq!(error.to_string(), "Account −4 refused: debt is −3");
}
