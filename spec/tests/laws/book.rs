//! The book and the code say the same.

use mlock_spec::{Contract, GuardKind, Law, TransitionKind};

const LAWS: &str = include_str!("../../src/book/laws.md");
const TRANSITIONS: &str = include_str!("../../src/book/transitions.md");
const CONTRACTS: &str = include_str!("../../src/book/contracts.md");

/// Returns the part of the chapter on laws that is about `law`.
fn section(law: Law) -> &'static str {
    let heading = format!("# {law}\n");
    let (_, section) = LAWS.split_once(&heading).unwrap();
    section.split("\n# ").next().unwrap()
}

#[test]
fn the_chapter_on_laws_has_every_sentence_formula_and_reason() {
    for law in Law::ALL {
        let section = section(law);
        let reason = law.why().split_at(1).1;
        for text in [law.sentence(), law.formula(), reason] {
            assert!(section.contains(text), "{law}: {text}");
        }
    }
}

#[test]
fn the_chapter_on_transitions_has_every_transition() {
    for kind in TransitionKind::ALL {
        let row = TRANSITIONS.lines().filter(|line| {
            line.starts_with(&format!("| `{kind}(")) || line.starts_with(&format!("| `{kind}` |"))
        });
        assert_eq!(row.count(), 1, "{kind}");
    }
}

#[test]
fn the_chapter_on_transitions_has_every_guard_with_its_law() {
    for kind in GuardKind::ALL {
        let mut rows = TRANSITIONS
            .lines()
            .filter(|line| line.contains(&format!("`{kind}`")));
        let row = rows.next().unwrap();
        assert!(
            row.ends_with(&format!("| {} |", kind.law())),
            "{kind}: {row}"
        );
        assert_eq!(rows.next(), None, "{kind}");
    }
}

#[test]
fn the_chapter_on_contracts_has_every_contract() {
    for contract in Contract::ALL {
        assert!(
            CONTRACTS.contains(&format!(", `{contract}` |")),
            "{contract}"
        );
    }
}
