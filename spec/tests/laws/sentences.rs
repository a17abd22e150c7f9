//! The laws in words, and the two that speak of quiet moments.

use std::collections::BTreeSet;

use mlock_spec::{Law, State};

use crate::read;

fn reports(state: &State) -> Vec<String> {
    state
        .quiescent_violations()
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// Law: `MunlockTakesEffect`.
#[test]
fn a_page_that_stays_mlocked_for_nobody_breaks_a_law() {
    let mut state = State::new(read("[0-3][4]"), 1, 1);
    state.mlocked = read("{0-3}");
    assert_eq!(
        reports(&state),
        ["MunlockTakesEffect: {0-3} mlocked for nobody"]
    );
    state.wanted[0] = read("{0-3}");
    assert_eq!(reports(&state), [""; 0]);
}

/// Law: `MlockTakesEffect`.
#[test]
fn a_wanted_page_that_is_not_mlocked_breaks_a_law_unless_it_is_absent() {
    let mut state = State::new(read("[0-3][4]"), 1, 1);
    state.wanted[0] = read("{3-4}");
    assert_eq!(
        reports(&state),
        ["MlockTakesEffect: {3-4} wanted but not mlocked"]
    );
    state.present = read("{0-3}");
    assert_eq!(
        reports(&state),
        ["MlockTakesEffect: {3} wanted but not mlocked"]
    );
}

/// Laws: `MunlockTakesEffect`, `MlockTakesEffect`.
#[test]
fn nothing_is_reported_while_somebody_is_half_way() {
    let mut state = State::new(read("[0-3][4]"), 2, 1);
    (state.mlocked, state.wanted[0]) = (read("{0-3}"), read("{4}"));
    assert_eq!(state.quiescent_violations().len(), 2);
    state.call[1] = Some(read("munlock(A, {0-3})"));
    assert!(!state.is_quiescent());
    assert_eq!(reports(&state), [""; 0]);
}

/// Laws: all, `Progress`, `LockOrder` and `NoBug` included.
#[test]
fn every_law_has_a_name_a_sentence_a_formula_and_a_reason() {
    for law in Law::ALL {
        assert_eq!(law.name(), format!("{law:?}"));
        assert!(
            law.sentence().ends_with('.') && law.why().ends_with('.'),
            "{law}"
        );
        assert!(
            !law.formula().is_empty() && !law.formula().ends_with('.'),
            "{law}"
        );
    }
    let different = |text: fn(Law) -> &'static str| Law::ALL.map(text).into_iter().collect();
    for texts in [Law::name, Law::sentence, Law::formula, Law::why].map(different) {
        let texts: BTreeSet<&str> = texts;
        assert_eq!(texts.len(), Law::ALL.len());
    }
}
