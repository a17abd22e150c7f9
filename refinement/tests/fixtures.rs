//! One test per fixture and size: every verdict, every final state and the size of the space are as
//! the fixture says; and one per broken law: its shortest counterexample is the one in the snapshot,
//! and reproduces when it is replayed.

#![expect(
    clippy::panic,
    reason = "without its fixtures there is nothing to test"
)]

use libtest_mimic::{Arguments, Failed, Trial};
use mlock_refinement::check::{check, differences};
use mlock_refinement::counterexample::{Replay, Replayed, draw, find};
use mlock_refinement::fixture::{Fixture, Verdict, files, load, name, parse, print};
use mlock_refinement::search::{Coverage, Options};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let mut trials = Vec::new();
    for path in files(&folder).unwrap_or_else(|error| panic!("{error}")) {
        let name = name(&path, &folder);
        let fixture = load(&path).unwrap_or_else(|error| panic!("{error}"));
        let printed = fixture.clone();
        trials.push(Trial::test(
            format!("{name}::reads_back_as_it_prints"),
            move || reads_back(&path, &printed),
        ));
        for &pages in &fixture.pages {
            let fixture = fixture.clone();
            trials.push(Trial::test(format!("{name}::{pages}_pages"), move || {
                as_expected(&fixture, pages)
            }));
        }
        let pages = if fixture.pages.contains(&4) {
            4
        } else {
            fixture.pages[0]
        };
        let drawn = name.clone();
        trials.push(Trial::test(format!("{name}::counterexamples"), move || {
            counterexamples(&drawn, &fixture, pages)
        }));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn reads_back(path: &Path, fixture: &Fixture) -> Result<(), Failed> {
    let text = std::fs::read_to_string(path)?;
    let printed = print(fixture)?;
    if printed != text {
        return Err("the file is not what its fixture prints as; `make pin` rewrites it".into());
    }
    if parse(&printed, "printed")? != *fixture {
        return Err("what is printed reads as another fixture".into());
    }
    Ok(())
}

fn as_expected(fixture: &Fixture, pages: u16) -> Result<(), Failed> {
    let system = fixture
        .concrete(pages)
        .map_err(|(_, wrong)| wrong)?
        .judged()?;
    let report = check(&system, Options::default());
    if report.coverage != Coverage::Exhaustive {
        return Err("the search was cut short".into());
    }
    let differences = differences(fixture, pages, &report);
    if differences.is_empty() {
        Ok(())
    } else {
        Err(differences.join("\n").into())
    }
}

fn counterexamples(name: &str, fixture: &Fixture, pages: u16) -> Result<(), Failed> {
    let concrete = fixture.concrete(pages).map_err(|(_, wrong)| wrong)?;
    let system = concrete.judged()?;
    let report = check(&system, Options::default());
    let mut all = String::new();
    for (law, found) in &report.laws {
        if found.verdict != Verdict::Violated {
            continue;
        }
        let schedule = find(&system, found).ok_or("a broken law without a way to it")?;
        let (_, depth) = found.broken.ok_or("a broken law without a depth")?;
        if schedule.len() != depth {
            return Err(format!("{law}: {} steps instead of {depth}", schedule.len()).into());
        }
        let replay = Replay::new(fixture, &system, pages, *law, &schedule);
        if replay.run(&system) != Replayed::Reproduces {
            return Err(format!("{law}: the counterexample does not reproduce").into());
        }
        all += &draw(name, &concrete, &system, *law, found, &schedule);
        all += "\n";
    }
    if let Some(wide) = all.lines().find(|line| line.chars().count() > 92) {
        return Err(format!("wider than 92 columns: {wide}").into());
    }
    if !all.is_empty() {
        let mut settings = insta::Settings::clone_current();
        settings.set_omit_expression(true);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_description(fixture.claim.clone());
        settings.bind(|| insta::assert_snapshot!(name.replace('/', "__"), all));
    }
    Ok(())
}
