//! `list`: the fixtures, and the known bugs they stand for.

use super::Ended;
use super::options::{Format, Selection};
use super::select::selected;
use mlock_refinement::fixture::Named;
use mlock_refinement::known_bugs::Row;
use mlock_refinement::table::table;
use serde_json::{Value, json};

/// `list`.
pub fn print(what: &Selection) -> Result<(), Ended> {
    let named = selected(what)?;
    let bugs: Vec<Bug<'_>> = Row::all().map(|row| Bug::new(row, &named)).collect();
    if what.format == Format::Json {
        let fixtures: Vec<Value> = named.iter().map(fixture_json).collect();
        let bugs: Vec<Value> = bugs.iter().map(Bug::json).collect();
        anstream::println!(
            "{}",
            json!({"format": 1, "fixtures": fixtures, "known_bugs": bugs})
        );
        return Ok(());
    }
    let fixtures: Vec<Vec<String>> = named
        .iter()
        .map(|n| vec![n.name.clone(), bugs_of(n), n.fixture.claim.clone()])
        .collect();
    anstream::println!("{}", table(&["fixture", "bugs", "claim"], &fixtures));
    // A selection says nothing about what the others show.
    if what.fixtures.is_empty() && what.kernel.is_none() {
        let rows: Vec<Vec<String>> = bugs.iter().flat_map(Bug::lines).collect();
        let heading = [
            "bug", "kernels", "symptom", "effect", "shown by", "cured in",
        ];
        anstream::print!("{}", table(&heading, &rows));
    }
    Ok(())
}

/// The known bugs that a fixture shows, and in brackets those that it shows to be cured.
fn bugs_of(named: &Named) -> String {
    let shows = named.fixture.shows.iter().map(Row::to_string);
    let cures = named.fixture.cures.iter().map(|row| format!("({row})"));
    shows.chain(cures).collect::<Vec<_>>().join(" ")
}

fn fixture_json(n: &Named) -> Value {
    json!({
        "fixture": n.name, "kernel": n.fixture.kernel, "shows": n.fixture.shows,
        "cures": n.fixture.cures, "claim": n.fixture.claim, "source": n.fixture.source,
    })
}

/// A known bug, with the fixtures that stand for it.
struct Bug<'n> {
    row: Row,
    /// Those that show it.
    shown: Vec<&'n str>,
    /// Those that show it to be cured.
    cured: Vec<&'n str>,
}

impl<'n> Bug<'n> {
    fn new(row: Row, named: &'n [Named]) -> Bug<'n> {
        let those = |rows: &dyn Fn(&Named) -> bool| {
            let fits = named.iter().filter(|n| rows(n));
            fits.map(|n| n.name.as_str()).collect()
        };
        Bug {
            row,
            shown: those(&|n| n.fixture.shows.contains(&row)),
            cured: those(&|n| n.fixture.cures.contains(&row)),
        }
    }

    fn json(&self) -> Value {
        json!({
            "row": self.row, "bug": self.row.bug(), "shown": self.shown, "cured": self.cured,
        })
    }

    /// As many lines as fixtures.
    fn lines(&self) -> Vec<Vec<String>> {
        let bug = self.row.bug();
        let shown = if self.shown.is_empty() {
            &["(no fixture)"][..]
        } else {
            &self.shown
        };
        let count = shown.len().max(self.cured.len());
        let cell = |cells: &[&str], i: usize| cells.get(i).copied().unwrap_or("").to_owned();
        let line = |i| {
            let about = [bug.kernels, bug.symptom, bug.effect];
            let about = about.map(|text| if i == 0 { text } else { "" }.to_owned());
            let row = if i == 0 {
                self.row.to_string()
            } else {
                String::new()
            };
            [row]
                .into_iter()
                .chain(about)
                .chain([cell(shown, i), cell(&self.cured, i)])
                .collect()
        };
        (0..count).map(line).collect()
    }
}
