//! Which locks carry the weight? Each acquisition of a sound kernel is removed in turn, and the
//! kernel's own fixtures must notice, or the table says that they do not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mlock_impl::machine::{Class, Op, Program};
use mlock_refinement::check::check;
use mlock_refinement::contract::contract_of;
use mlock_refinement::fixture::{Fixture, Verdict, files, load};
use mlock_refinement::search::Limits;
use mlock_refinement::system::Judged;
use mlock_spec::Law;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// An acquisition: the kernel function it stands in, and the class.
type Site = (String, Class);

/// Removes the acquisitions of a site; releases are tolerant, so that only the lock is missing.
fn without(program: &Program, (function, class): &Site) -> Program {
    let mut mutant = program.clone();
    for (pc, instr) in mutant.code.iter_mut().enumerate() {
        instr.op = match instr.op.clone() {
            Op::Acquire(lock, _) | Op::TryAcquire(lock, ..)
                if lock.class == *class && instr.function == *function =>
            {
                Op::Jump(pc as u16 + 1)
            }
            Op::Release(lock) if lock.class == *class => Op::ReleaseIfHeld(lock),
            op => op,
        };
    }
    mutant
}

fn fixtures(kernel: &str) -> Vec<Fixture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures")
        .join(kernel);
    files(&folder)
        .unwrap()
        .iter()
        .map(|path| load(path).unwrap())
        .collect()
}

/// The laws that turn red without the lock, over all fixtures of the kernel.
fn broken_without(fixtures: &[Fixture], site: &Site) -> BTreeSet<Law> {
    let mut broken = BTreeSet::new();
    for fixture in fixtures {
        let pages = if fixture.cpus.len() > 2 { 2 } else { 4 };
        let concrete = fixture.concrete(pages).unwrap();
        let mutants = concrete
            .scripts
            .iter()
            .map(|calls| without(&concrete.kernel.program(&concrete.world, calls), site));
        let (world, memory) = (&concrete.world, &concrete.memory);
        let contract = contract_of(&concrete.kernel);
        let system = Judged::of_programs(
            mutants.collect(),
            world,
            memory,
            &concrete.scripts,
            contract,
        );
        let report = check(&system.unwrap(), Limits::default(), &mut |_, _| {});
        for (law, found) in &report.laws {
            let was = fixture.laws[law].verdict();
            if found.verdict == Verdict::Violated && was != Verdict::Violated {
                broken.insert(*law);
            }
        }
    }
    broken
}

fn table(kernel: &str) -> String {
    let fixtures = fixtures(kernel);
    let mut sites: BTreeMap<Site, ()> = BTreeMap::new();
    for fixture in &fixtures {
        let concrete = fixture.concrete(fixture.pages[0]).unwrap();
        for calls in &concrete.scripts {
            for instr in concrete.kernel.program(&concrete.world, calls).code {
                if let Some(class) = instr.op.takes() {
                    sites.insert((instr.function, class), ());
                }
            }
        }
    }
    let mut text = String::new();
    for site in sites.keys() {
        let broken = broken_without(&fixtures, site);
        let laws: Vec<&str> = broken.iter().map(|law| law.name()).collect();
        let verdict = if laws.is_empty() {
            "survives".to_owned()
        } else {
            laws.join(", ")
        };
        text += &format!("{:28} {:16} {verdict}\n", site.0, site.1.name());
    }
    text
}

fn snapshot(kernel: &str) {
    let text = table(kernel);
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!(format!("locks_of_{kernel}"), text);
    });
}

#[test]
fn lru_lock_carries_v3_14() {
    snapshot("v3.14");
}

#[test]
fn the_pt_lock_carries_the_first_suggestion() {
    snapshot("fix-ptl");
}

#[test]
fn compound_lock_carries_the_second_suggestion() {
    snapshot("fix-compound-lock");
}
