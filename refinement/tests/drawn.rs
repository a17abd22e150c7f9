//! Drawings that no fixture asks for, since no kernel here does it: a livelock, as a stem and a loop.

use mlock_refinement::check::check;
use mlock_refinement::counterexample::{Topic, draw, find};
use mlock_refinement::fixture::load;
use mlock_refinement::search::{Finding, Options};
use mlock_spec::Law;
use std::path::Path;

#[test]
fn a_livelock_is_drawn_as_a_stem_and_a_loop() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let fixture = load(&folder.join("fix-ptl/munlock_vs_split.ron")).unwrap();
    let concrete = fixture.concrete(4).unwrap();
    let calls = concrete.scripts.iter();
    let programs: Vec<_> = calls
        .map(|calls| concrete.kernel.program(&concrete.world, calls))
        .collect();
    // The first mistake in munlock that leaves it going round, some way into the run.
    let drawn = programs[0].mutations(4).into_keys().find_map(|mutation| {
        let mut broken = programs.clone();
        broken[0] = programs[0].mutant(&mutation, 4)?;
        let system = concrete.judged_with(broken).ok()?;
        let report = check(&system, Options::up_to(100_000));
        let progress = &report.laws[&Law::Progress];
        let (finding, depth) = progress.broken?;
        if finding != Finding::LIVELOCK || depth == 0 {
            return None;
        }
        let topic = Topic::Law(Law::Progress);
        let schedule = find(&system, &report, topic)?;
        let name = "fix-ptl/munlock_vs_split";
        Some(draw(name, &concrete, &system, topic, &report, &schedule))
    });
    let drawn = drawn.unwrap();
    assert!(drawn.contains("from here on") && drawn.contains("and round again"));
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("a_livelock", drawn);
    });
}
