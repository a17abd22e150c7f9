//! The reductions lose nothing, and threads change nothing: for every fixture at its smallest sizes,
//! all ways to search agree on the verdict of every law, on everything that is told of any step (the
//! nesting of lock classes included), on the final states, and on which step takes which transition
//! of the specification.

#![expect(
    clippy::panic,
    reason = "without its fixtures there is nothing to test"
)]

use libtest_mimic::{Arguments, Failed, Trial};
use mlock_refinement::check::{Report, check};
use mlock_refinement::fixture::{Fixture, files, load, name};
use mlock_refinement::search::{Coverage, Options, Reduction};
use std::path::Path;
use std::process::ExitCode;

const WAYS: [(&str, Reduction); 3] = [
    (
        "fused steps",
        Reduction {
            fuse: true,
            ..Reduction::NONE
        },
    ),
    (
        "ample sets",
        Reduction {
            ample: true,
            ..Reduction::NONE
        },
    ),
    ("all reductions", Reduction::ALL),
];

/// States of a space that is small enough to be searched in all these ways.
const SMALL: usize = 6_000;

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let mut trials = Vec::new();
    for path in files(&folder).unwrap_or_else(|error| panic!("{error}")) {
        let name = name(&path, &folder);
        let fixture = load(&path).unwrap_or_else(|error| panic!("{error}"));
        let small = |pages: &u16| fixture.counts.get(pages).is_some_and(|c| c.states < SMALL);
        let sizes = fixture.pages.iter().copied();
        let sizes: Vec<u16> = sizes.take(2).filter(small).collect();
        for pages in sizes {
            let fixture = fixture.clone();
            let name = format!("{name}::{pages}_pages_agree");
            trials.push(Trial::test(name, move || agree(&fixture, pages)));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn agree(fixture: &Fixture, pages: u16) -> Result<(), Failed> {
    let search = |reduction, threads| -> Result<Report, Failed> {
        let concrete = fixture.concrete(pages).map_err(|(_, wrong)| wrong)?;
        let options = Options {
            reduction,
            threads,
            ..Options::default()
        };
        Ok(check(&concrete.judged()?, options))
    };
    let whole = search(Reduction::NONE, 1)?;
    for (way, reduction) in WAYS {
        let one = search(reduction, 1)?;
        same(way, &whole, &one)?;
        if one.counts.states > whole.counts.states {
            return Err(format!("{way}: more states than without").into());
        }
        let many = search(reduction, 3)?;
        same(way, &whole, &many)?;
        if one.counts != many.counts || one.steps != many.steps {
            return Err(format!("{way}: three threads count otherwise than one").into());
        }
    }
    let many = search(Reduction::NONE, 3)?;
    same("three threads", &whole, &many)?;
    if whole.counts != many.counts || whole.tally.transient != many.tally.transient {
        return Err("three threads count otherwise than one".into());
    }
    Ok(())
}

fn same(way: &str, whole: &Report, other: &Report) -> Result<(), Failed> {
    let verdicts = |report: &Report| -> Vec<_> {
        report
            .laws
            .iter()
            .map(|(law, found)| (*law, found.verdict))
            .collect()
    };
    let checks = [
        ("coverage", whole.coverage == other.coverage),
        ("exhaustive", other.coverage == Coverage::Exhaustive),
        ("verdicts", verdicts(whole) == verdicts(other)),
        ("findings", whole.found == other.found),
        ("final states", whole.outcomes == other.outcomes),
        ("effects", whole.tally.effects == other.tally.effects),
        (
            "transitions matched",
            whole.tally.matched == other.tally.matched,
        ),
    ];
    match checks.iter().find(|(_, same)| !same) {
        Some((what, _)) => Err(format!("{way}: {what} differ").into()),
        None => Ok(()),
    }
}
