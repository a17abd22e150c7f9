//! Which step, and which lock, carries the weight? Each mechanical mistake in a sound kernel is
//! noticed, or the table of reasons says why there is nothing to notice; and the other way round, no
//! reason stands for nothing.
//!
//! A mistake that is not about a lock is tried in the first of the kernels that shares the function;
//! `mlockcheck mutants` tries all in all.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mlock_impl::kernel::Kernel;
use mlock_refinement::fixture::{Named, files};
use mlock_refinement::mutants::reasons::REASONS;
use mlock_refinement::mutants::{Fate, Mutant, mutants, sound};
use mlock_refinement::reasons::{unused, why};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The kernels whose survivors have been gone through.
const REVIEWED: [&str; 4] = [
    "fix-lru-lock",
    "fix-ptl",
    "fix-compound-lock",
    "fix-anon-vma",
];

fn fixtures() -> Vec<Named> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    Named::load_all(&files(&folder).unwrap(), &folder).unwrap()
}

fn all() -> Vec<Mutant> {
    let fixtures = fixtures();
    let mut tried = BTreeSet::new();
    let mut out = Vec::new();
    for kernel in REVIEWED.map(|name| Kernel::named(name).unwrap()) {
        let of_kernel = mutants(kernel, &fixtures, &mut |mutation| {
            tried.insert(mutation.clone()) || mutation.mistake.is_about_a_lock()
        });
        out.extend(of_kernel.unwrap());
    }
    out
}

/// A block for each kernel: what was noticed, and by which law; then, by reason, what was not.
fn text(all: &[Mutant]) -> String {
    let mut text = String::new();
    for kernel in REVIEWED {
        let mut survivors: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        text += &format!("{kernel}\n");
        for mutant in all.iter().filter(|m| m.kernel == kernel) {
            match &mutant.fate {
                Fate::Killed(kill) => text += &format!("  {}\n    {kill}\n", mutant.text),
                Fate::Survived => {
                    let why = why(&REASONS, &mutant.text).unwrap_or("no reason is known");
                    survivors.entry(why).or_default().push(&mutant.text);
                }
                fate => text += &format!("  {}\n    {}\n", mutant.text, fate.word()),
            }
        }
        for (why, mutants) in survivors {
            text += &format!("  not noticed: {why}\n");
            for mutant in mutants {
                text += &format!("    {mutant}\n");
            }
        }
    }
    text
}

#[test]
fn every_mistake_is_noticed_or_explained() {
    let all = all();
    let survivors = || {
        all.iter()
            .filter(|m| m.fate == Fate::Survived)
            .map(|m| m.text.as_str())
    };
    let unexplained: Vec<&str> = survivors()
        .filter(|text| why(&REASONS, text).is_none())
        .collect();
    assert!(
        unexplained.is_empty(),
        "survive without a reason: {unexplained:#?}"
    );
    let unused = unused(&REASONS, survivors());
    assert!(unused.is_empty(), "reasons for nothing: {unused:#?}");
    assert!(
        all.iter().all(|m| m.fate != Fate::Undecided),
        "a space is too large"
    );
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("mutants", text(&all));
    });
}

#[test]
fn the_kernels_whose_own_fixtures_break_nothing_are_sound() {
    let sound: Vec<&str> = sound(&fixtures())
        .iter()
        .map(|kernel| kernel.name)
        .collect();
    for kernel in REVIEWED {
        assert!(sound.contains(&kernel), "{kernel}");
    }
    assert!(!sound.contains(&"v3.9"));
}
