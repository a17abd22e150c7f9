//! What each transition does, in plain words.

use mlock_spec::{Contract, State, Transition};

use crate::read;

/// Two folios of 4 pages, the second mlocked and wanted by B, two actors inside calls.
fn start() -> State {
    let mut state = State::new(read("[0-3][4-7]"), 2, 2);
    state.mlocked = read("{4-7}");
    state.nr_mlock = 4;
    state.wanted[1] = read("{4-7}");
    state.call = vec![
        Some(read("mlock(A, {0-3})")),
        Some(read("munlock(B, {4-7})")),
    ];
    state
}

/// Does a permitted transition and checks that nothing changed but what `change` changes.
fn does(transition: &str, change: impl FnOnce(&mut State)) {
    from(start(), transition, change);
}

fn from(state: State, transition: &str, change: impl FnOnce(&mut State)) {
    let mut expected = state.clone();
    change(&mut expected);
    let transition: Transition = read(transition);
    assert_eq!(state.apply(&transition, &Contract::ORIGINAL), Ok(expected));
}

/// Does a forbidden transition and checks that nothing changed but what `change` changes.
fn does_against_the_guards(transition: &str, change: impl FnOnce(&mut State)) {
    let (state, transition): (State, Transition) = (start(), read(transition));
    assert!(state.apply(&transition, &Contract::ORIGINAL).is_err());
    let mut expected = state.clone();
    change(&mut expected);
    assert_eq!(state.effect(&transition), expected);
    assert_eq!(expected.balance(), 0);
}

#[test]
fn call_puts_the_actor_inside_the_call() {
    let mut idle = start();
    idle.call[0] = None;
    from(idle, "CPU0: Call exit(A)", |state| {
        state.call[0] = Some(read("exit(A)"))
    });
}

#[test]
fn want_adds_to_what_the_address_space_wants() {
    does("CPU0: Want A {1-2}", |state| {
        state.wanted[0] = read("{1-2}")
    });
}

#[test]
fn unwant_takes_from_what_the_address_space_wants() {
    does("CPU1: Unwant B {4-5}", |state| {
        state.wanted[1] = read("{6-7}")
    });
}

#[test]
fn mark_makes_pages_mlocked_and_the_actor_owe_them() {
    does("CPU0: Mark {0-3}", |state| {
        state.mlocked = read("{0-7}");
        state.debt[0] = 4;
    });
}

#[test]
fn clear_makes_pages_mlocked_no_longer_and_the_actor_owe_them_negative() {
    let mut unwanted = start();
    unwanted.wanted[1] = read("{}");
    from(unwanted, "CPU1: Clear {4-7}", |state| {
        state.mlocked = read("{}");
        state.debt[1] = -4;
    });
}

#[test]
fn account_moves_the_debt_into_the_statistic() {
    let mut owing = start();
    owing.debt[1] = -4;
    from(owing, "CPU1: Account −4", |state| {
        state.nr_mlock = 0;
        state.debt[1] = 0;
    });
}

#[test]
fn split_makes_new_folios_and_keeps_marks() {
    does("CPU0: Split at {5-6} with {4-7} mlocked", |state| {
        state.folios = read("[0-3][4][5][6-7]");
    });
}

#[test]
fn collapse_makes_one_folio_and_keeps_marks() {
    let mut split = start();
    split.folios = read("[0-3][4][5][6-7]");
    from(split, "CPU0: Collapse {4-7}", |state| {
        state.folios = read("[0-3][4-7]")
    });
}

#[test]
fn free_makes_pages_absent() {
    does("CPU0: Free {0-3}", |state| state.present = read("{4-7}"));
}

#[test]
fn return_ends_the_call() {
    does("CPU0: Return", |state| state.call[0] = None);
}

#[test]
fn a_wrong_amount_leaves_the_difference_owed() {
    does_against_the_guards("CPU1: Account −3", |state| {
        state.nr_mlock = 1;
        state.debt[1] = 3;
    });
}

#[test]
fn a_debt_at_return_is_lost() {
    let mut owing = start();
    (owing.nr_mlock, owing.debt[1]) = (5, -1);
    let after = owing.effect(&read("CPU1: Return"));
    assert_eq!((after.nr_mlock, after.debt[1], after.lost), (5, 0, -1));
    assert_eq!(after.call[1], None);
    assert_eq!(after.balance(), 0);
}

#[test]
fn a_split_that_drops_marks_leaves_the_splitter_owing() {
    does_against_the_guards("CPU0: Split at {5} with {4} mlocked", |state| {
        state.folios = read("[0-3][4][5-7]");
        state.mlocked = read("{4}");
        state.debt[0] = -3;
    });
}

#[test]
fn a_freed_page_takes_its_mark_along_and_leaves_the_debt() {
    does_against_the_guards("CPU1: Free {4-7}", |state| {
        state.present = read("{0-3}");
        state.mlocked = read("{}");
        state.debt[1] = -4;
    });
}

#[test]
fn marking_twice_owes_once() {
    does_against_the_guards("CPU0: Mark {0-7}", |state| {
        state.mlocked = read("{0-7}");
        state.debt[0] = 4;
    });
}

#[test]
fn a_transition_about_things_that_are_not_there_leads_nowhere() {
    does_against_the_guards("CPU2: Return", |_| {});
    does_against_the_guards("CPU0: Want C {0}", |_| {});
    does_against_the_guards("CPU0: Mark {7-8}", |_| {});
}
