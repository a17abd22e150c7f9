//! `explain` and `replay`: counterexamples drawn, saved, and taken again.

use super::options::{Explain, ReplayFile};
use super::select::{concrete, selected};
use super::{Ended, write_whole};
use mlock_refinement::check;
use mlock_refinement::counterexample::{self, Replay, Replayed, Topic};
use mlock_refinement::fixture::{Named, read};
use mlock_refinement::search::Options;
use mlock_spec::Law;
use std::path::Path;

/// `explain`.
pub fn explain(what: &Explain) -> Result<(), Ended> {
    let selection = &what.selection;
    let only = what.law.as_ref().map(|law| law.parse::<Law>());
    let only = only
        .transpose()
        .map_err(|error| Ended::Usage(error.to_string()))?;
    let (mut drawn, mut limited) = (0, false);
    for named in selected(selection)? {
        let pages = selection.pages.unwrap_or_else(|| drawing_size(&named));
        let concrete = concrete(selection, &named, pages)?;
        let system = concrete.judged().map_err(Ended::Unreadable)?;
        let report = check::check(&system, Options::default());
        let laws = Law::ALL
            .into_iter()
            .filter(|law| only.is_none_or(|o| o == *law));
        for topic in laws.map(Topic::Law).chain([Topic::Limit]) {
            let Some(schedule) = counterexample::find(&system, &report, topic) else {
                continue;
            };
            let name = &named.name;
            let text = counterexample::draw(name, &concrete, &system, topic, &report, &schedule);
            anstream::println!("{text}");
            let Topic::Law(law) = topic else {
                limited = true;
                continue;
            };
            drawn += 1;
            if let Some(path) = what.save.as_ref().filter(|_| drawn == 1) {
                let mut fixture = named.fixture.clone();
                concrete.kernel.name.clone_into(&mut fixture.kernel);
                let replay = Replay::new(&fixture, &system, pages, law, &schedule);
                save(path, &replay)?;
                anstream::eprintln!("saved; again with: mlockcheck replay {}", path.display());
            }
        }
    }
    if drawn == 0 {
        let searched = if limited {
            " up to the limit of the model"
        } else {
            ""
        };
        anstream::println!("No law is broken{searched}.");
    }
    Ok(())
}

/// The size at which a fixture is drawn: 4 pages if it is checked there.
fn drawing_size(named: &Named) -> u16 {
    let pages = &named.fixture.pages;
    if pages.contains(&4) {
        4
    } else {
        pages.first().copied().unwrap_or(4)
    }
}

fn save(path: &Path, replay: &Replay) -> Result<(), Ended> {
    let config = ron::ser::PrettyConfig::new()
        .struct_names(true)
        .depth_limit(5);
    let text = ron::ser::to_string_pretty(replay, config)
        .map_err(|error| Ended::Unreadable(error.to_string()))?;
    write_whole(path, &(text + "\n"))
}

/// `replay`.
pub fn replay(what: &ReplayFile) -> Result<(), Ended> {
    let path = what.file.display();
    let unreadable = |error: String| Ended::Unreadable(format!("{path}: {error}"));
    let text = std::fs::read_to_string(&what.file).map_err(|e| unreadable(e.to_string()))?;
    let saved: Replay =
        read(&text, &path.to_string()).map_err(|e| Ended::Unreadable(e.to_string()))?;
    let concrete = saved
        .fixture
        .concrete(saved.pages)
        .map_err(|(_, wrong)| unreadable(wrong))?;
    let system = concrete.judged().map_err(unreadable)?;
    match saved.run(&system) {
        Replayed::Reproduces => {
            anstream::println!(
                "reproduces: {} breaks at step {}",
                saved.law,
                saved.steps.len()
            );
            Ok(())
        }
        Replayed::Passes => {
            anstream::println!("passes: {} holds", saved.law);
            Err(Ended::NotAsExpected)
        }
        Replayed::Diverges(step, enabled) => {
            let enabled: Vec<String> = enabled
                .iter()
                .map(|s| format!("CPU{} {}", s.cpu, s.label))
                .collect();
            anstream::println!(
                "diverges at step {step} (enabled were {})",
                enabled.join("; ")
            );
            Err(Ended::NotAsExpected)
        }
    }
}
