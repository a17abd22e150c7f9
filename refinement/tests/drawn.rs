//! Drawings that no fixture asks for, since no kernel here does it: a livelock, as a stem and a loop; a
//! limit of the model.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mlock_refinement::check::{Report, check};
use mlock_refinement::counterexample::{Topic, draw, find};
use mlock_refinement::fixture::load;
use mlock_refinement::search::{Finding, Options};
use mlock_spec::Law;
use std::path::Path;

const NAME: &str = "fix-ptl/munlock_vs_split";

/// What is drawn of the first mistake in munlock of which `shows` holds.
fn drawn(topic: Topic, shows: impl Fn(&Report) -> bool) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let fixture = load(&folder.join(format!("{NAME}.ron"))).unwrap();
    let concrete = fixture.concrete(4).unwrap();
    let calls = concrete.scripts.iter();
    let programs: Vec<_> = calls
        .map(|calls| concrete.kernel.program(&concrete.world, calls))
        .collect();
    let drawn = programs[0].mutations(4).into_keys().find_map(|mutation| {
        let mut broken = programs.clone();
        broken[0] = programs[0].mutant(&mutation, 4)?;
        let system = concrete.judged_with(broken).ok()?;
        let report = check(&system, Options::up_to(100_000));
        if !shows(&report) {
            return None;
        }
        let schedule = find(&system, &report, topic)?;
        Some(draw(NAME, &concrete, &system, topic, &report, &schedule))
    });
    drawn.unwrap()
}

fn snapshot(name: &str, drawn: String) {
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!(name, drawn);
    });
}

#[test]
fn a_livelock_is_drawn_as_a_stem_and_a_loop() {
    // Some way into the run.
    let goes_round = |report: &Report| {
        let broken = report.laws[&Law::Progress].broken;
        broken.is_some_and(|(finding, depth)| finding == Finding::LIVELOCK && depth > 0)
    };
    let drawn = drawn(Topic::Law(Law::Progress), goes_round);
    assert!(drawn.contains("from here on") && drawn.contains("and round again"));
    snapshot("a_livelock", drawn);
}

#[test]
fn a_limit_of_the_model_is_drawn_with_the_number_that_has_no_room() {
    let drawn = drawn(Topic::Limit, |report| report.limit.is_some());
    assert!(drawn.starts_with("limit") && drawn.contains("^ a limit of the model: "));
    snapshot("a_limit", drawn);
}
