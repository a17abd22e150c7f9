//! What was matched where: no transition of the specification is left without a step that takes it,
//! and the table of steps and transitions changes only when somebody looks.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mlock_refinement::check::check;
use mlock_refinement::fixture::{Fixture, files, load};
use mlock_refinement::search::Options;
use mlock_refinement::system::{STUTTER, Tally};
use mlock_spec::TransitionKind;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Transitions that no program of these kernels takes, and why.
const UNMATCHED: [(TransitionKind, &str); 0] = [];

type Table = BTreeMap<String, BTreeSet<&'static str>>;

fn names(bits: u16) -> impl Iterator<Item = TransitionKind> {
    TransitionKind::ALL
        .into_iter()
        .filter(move |&kind| bits & 1 << kind as u16 != 0)
}

/// Explores every fixture at its smallest size.
fn matched(mut each: impl FnMut(&Fixture, &[mlock_impl::machine::Program], &Tally)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    for path in files(&folder).unwrap() {
        let fixture = load(&path).unwrap();
        let system = fixture
            .concrete(fixture.pages[0])
            .unwrap()
            .judged()
            .unwrap();
        let report = check(&system, Options::default());
        each(&fixture, system.machine().programs(), &report.tally);
    }
}

#[test]
fn steps_match_the_transitions_they_are_known_to_match() {
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    matched(|fixture, programs, tally| {
        let table = tables.entry(fixture.kernel.clone()).or_default();
        for (program, row) in programs.iter().zip(&tally.matched) {
            for (instr, &bits) in program
                .code
                .iter()
                .zip(row)
                .filter(|(_, bits)| **bits & !STUTTER != 0)
            {
                seen.extend(names(bits));
                // The same step may stand in a program several times.
                let label = instr
                    .label
                    .split(" #")
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                let kinds = names(bits).map(kind_name);
                table.entry(label).or_default().extend(kinds);
            }
        }
    });
    for kind in TransitionKind::ALL {
        let excused = UNMATCHED.iter().any(|(unmatched, _)| *unmatched == kind);
        assert_eq!(
            seen.contains(&kind),
            !excused,
            "{kind}: matched, or excused, but not both"
        );
    }
    let mut text = String::new();
    for (kernel, table) in tables {
        text += &format!("{kernel}\n");
        for (label, kinds) in table {
            let kinds: Vec<&str> = kinds.into_iter().collect();
            text += &format!("  {label:62} {}\n", kinds.join(", "));
        }
    }
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("label_transitions", text);
    });
}

fn kind_name(kind: TransitionKind) -> &'static str {
    match kind {
        TransitionKind::Call => "Call",
        TransitionKind::Want => "Want",
        TransitionKind::Unwant => "Unwant",
        TransitionKind::Mark => "Mark",
        TransitionKind::Clear => "Clear",
        TransitionKind::Account => "Account",
        TransitionKind::Split => "Split",
        TransitionKind::Collapse => "Collapse",
        TransitionKind::Free => "Free",
        TransitionKind::Return => "Return",
    }
}

/// Lists, per kernel, the labels that no interleaving of its fixtures reaches.
///
/// The snapshot is the allow-list. The reasons:
///
/// * `mlock_migrate_page()` finds no mark from v3.7 on: the last unmap has cleared it (that is F15).
/// * `clear_page_mlock()` under a former munlock or copy finds none either, for the page was munlocked
///   before, and a fix's folder has no truncation.
/// * Waits for a split, tables and migration entries of a second address space, and pages that go to
///   a list twice are written once per caller, and not every caller meets every case.
/// * The folders of small variants (`v3.7-rc`, `v3.15`, `v4.4-fix-int`, 2.6.31 and 2.6.37, which have
///   no huge pages) hold what they differ in.
#[test]
fn every_label_is_reached_or_listed() {
    let mut reached: BTreeMap<String, BTreeMap<String, bool>> = BTreeMap::new();
    matched(|fixture, programs, tally| {
        let labels = reached.entry(fixture.kernel.clone()).or_default();
        for (cpu, program) in programs.iter().enumerate() {
            for (pc, instr) in program
                .code
                .iter()
                .enumerate()
                .filter(|(_, i)| !i.op.is_local())
            {
                let bits = tally
                    .matched
                    .get(cpu)
                    .and_then(|row| row.get(pc))
                    .copied()
                    .unwrap_or(0);
                let label = instr
                    .label
                    .split(" #")
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                *labels.entry(label).or_default() |= bits != 0;
            }
        }
    });
    let mut text = String::new();
    for (kernel, labels) in reached {
        for (label, _) in labels.into_iter().filter(|(_, reached)| !reached) {
            text += &format!("{kernel}: {label}\n");
        }
    }
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("labels_never_reached", text);
    });
}
