//! Whatever is written can be read back.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use mlock_spec::{
    Actor, Call, Contract, Folios, Law, Mm, PageSet, ParseError, Refusal, State, Transition,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::generate::{Memory, Pages, Run};
use crate::{for_all, read};

fn by_text<T: Display + FromStr<Err = ParseError> + PartialEq>(value: &T) -> bool {
    value.to_string().parse().as_ref() == Ok(value)
}

fn by_ron<T: Serialize + DeserializeOwned + PartialEq>(value: &T) -> bool {
    let text = ron::to_string(value).unwrap();
    let back: T = ron::from_str(&text).unwrap();
    back == *value && ron::to_string(&back).unwrap() == text
}

#[test]
fn page_sets_come_back_from_text_and_ron() {
    for_all(|Pages(pages): Pages| by_text(&pages) && by_ron(&pages));
}

#[test]
fn folios_come_back_from_text_and_ron() {
    for_all(|Memory(folios): Memory| by_text(&folios) && by_ron(&folios));
}

#[test]
fn transitions_and_calls_come_back_from_text_and_ron() {
    for_all(|run: Run| {
        run.attempts.iter().all(|transition| {
            let call_too = match transition {
                Transition::Call { call, .. } => by_text(call) && by_ron(call),
                _ => true,
            };
            by_text(transition) && by_ron(transition) && call_too
        })
    });
}

#[test]
fn states_and_refusals_come_back_from_ron() {
    for_all(|run: Run| {
        let refusals = run.states().into_iter().zip(&run.attempts);
        let refusals: Vec<Refusal> = refusals
            .filter_map(|(state, attempt)| state.guards(attempt, &run.contract).err())
            .collect();
        by_ron(&run.end()) && by_ron(&refusals)
    });
}

#[test]
fn violations_laws_and_contracts_come_back_from_ron() {
    for_all(|run: Run| by_ron(&run.end().quiescent_violations()));
    assert!(Law::ALL.iter().all(|law| by_text(law) && by_ron(law)));
    assert!(
        Contract::ALL
            .iter()
            .all(|contract| by_text(contract) && by_ron(contract))
    );
}

#[test]
fn actors_and_address_spaces_come_back_from_text() {
    for_all(|number: u8| by_text(&Actor(number)) && by_text(&Mm(number)));
}

#[test]
fn text_that_means_nothing_is_an_error_and_never_a_panic() {
    fn survives(text: &str) -> bool {
        let outcomes = [
            text.parse::<PageSet>().is_ok(),
            text.parse::<Folios>().is_ok(),
            text.parse::<Call>().is_ok(),
            text.parse::<Transition>().is_ok(),
        ];
        outcomes.len() == 4
    }
    for_all(|text: String| survives(&text));
    for_all(|(run, start, length): (Run, u8, u8)| {
        let text: Vec<String> = run.attempts.iter().map(Transition::to_string).collect();
        let cut = text
            .concat()
            .chars()
            .skip(start.into())
            .take(length.into())
            .collect::<String>();
        survives(&cut)
    });
}

#[test]
fn text_forms_look_like_this() {
    fn same<T: FromStr<Err = ParseError> + Display>(text: &str) {
        assert_eq!(read::<T>(text).to_string(), text);
    }
    same::<PageSet>("{}");
    same::<PageSet>("{0-3, 7}");
    same::<Folios>("");
    same::<Folios>("[0-3][4][5]");
    same::<Actor>("CPU0");
    same::<Mm>("B");
    same::<Mm>("MM26");
    same::<Call>("mlock(A, {0-3})");
    same::<Call>("munlock(A, {0-3})");
    same::<Call>("unmap(A, {0-3})");
    same::<Call>("exit(B)");
    same::<Call>("fork(A, B)");
    same::<Call>("split({0-3})");
    same::<Transition>("CPU0: Call munlock(A, {0-3})");
    same::<Transition>("CPU0: Want A {0-3}");
    same::<Transition>("CPU0: Unwant A {0-3}");
    same::<Transition>("CPU0: Mark {0-3}");
    same::<Transition>("CPU0: Clear {0-2}");
    same::<Transition>("CPU0: Account −4");
    same::<Transition>("CPU1: Account +4");
    same::<Transition>("CPU1: Split at {1-3} with {0-3} mlocked");
    same::<Transition>("CPU1: Collapse {0-3}");
    same::<Transition>("CPU1: Free {0}");
    same::<Transition>("CPU1: Return");
}

#[test]
fn columns_of_a_table_show_the_kind_and_the_amount() {
    let brief = |text: &str| read::<Transition>(text).brief();
    assert_eq!(brief("CPU0: Call exit(A)"), "Call");
    assert_eq!(brief("CPU0: Want A {0-3}"), "Want 4");
    assert_eq!(brief("CPU0: Unwant A {0-3}"), "Unwant 4");
    assert_eq!(brief("CPU0: Mark {0-3}"), "Mark 4");
    assert_eq!(brief("CPU0: Clear {0-2}"), "Clear 3");
    assert_eq!(brief("CPU0: Account -4"), "Account −4");
    assert_eq!(brief("CPU0: Account +4"), "Account +4");
    assert_eq!(brief("CPU0: Split at {1} with {} mlocked"), "Split");
    assert_eq!(brief("CPU0: Collapse {0-3}"), "Collapse");
    assert_eq!(brief("CPU0: Free {0}"), "Free 1");
    assert_eq!(brief("CPU0: Return"), "Return");
}

#[test]
fn wrong_text_is_named_with_what_was_expected() {
    let wrong = |text: &str| text.parse::<PageSet>().unwrap_err().to_string();
    assert_eq!(
        wrong("{3-0}"),
        "`{3-0}` is not a set of pages such as {0-3, 7}"
    );
    assert_eq!(
        wrong("{99999999}"),
        "`{99999999}` is not a set of pages such as {0-3, 7}"
    );
    for text in ["[1-3]", "[0-3][5]", "[0", "0-3", "[3-0]"] {
        assert!(text.parse::<Folios>().is_err(), "{text}");
    }
    for text in [
        "CPU0 Mark {0}",
        "CPU0: Marks {0}",
        "CPU0: Return {0}",
        "CPU0: Account",
    ] {
        assert!(text.parse::<Transition>().is_err(), "{text}");
    }
    for text in [
        "mlock(A)",
        "exit(A, B)",
        "fork(A, {0})",
        "lock(A, {0})",
        "exit(a)",
    ] {
        assert!(text.parse::<Call>().is_err(), "{text}");
    }
}

#[test]
fn ron_with_an_unknown_field_is_refused() {
    fn refuses<T: DeserializeOwned + Debug>(text: &str) {
        let error = ron::from_str::<T>(text).unwrap_err().to_string();
        assert!(error.contains("xyz"), "{error}");
    }
    refuses::<Transition>("Return(actor: 0, xyz: 1)");
    refuses::<Call>("Exit(mm: 0, xyz: 1)");
    refuses::<State>("(xyz: 1)");
}
