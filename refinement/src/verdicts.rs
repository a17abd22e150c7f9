//! The verdict table: one row per fixture, one column per law.

use crate::check::Run;
use crate::fixture::{Expected, Verdict};
use crate::table::{LAWS, table};
use mlock_spec::Law;

/// One row per fixture; the sizes agree on the verdicts, or are told apart.
pub fn verdicts(runs: &[Run<'_>]) -> String {
    let heading: Vec<&str> = ["fixture", "pages"]
        .into_iter()
        .chain(LAWS)
        .chain(["states", "as expected"])
        .collect();
    let mut rows: Vec<Row> = Vec::new();
    for run in runs {
        let row = Row::new(run);
        match rows.last_mut() {
            Some(last) if last.reads_like(&row) => last.join(row),
            _ => rows.push(row),
        }
    }
    let cells: Vec<Vec<String>> = rows.into_iter().map(Row::cells).collect();
    table(&heading, &cells)
}

struct Row {
    name: String,
    marks: Vec<&'static str>,
    as_expected: bool,
    pages: Vec<String>,
    states: usize,
}

impl Row {
    fn new(run: &Run<'_>) -> Row {
        let marks = Law::ALL.iter().map(|law| {
            let expected = run.fixture.laws.get(law);
            mark(run.report.laws[law].verdict, expected)
        });
        Row {
            name: run.name.to_owned(),
            marks: marks.collect(),
            as_expected: run.differences().is_empty(),
            pages: vec![run.pages.to_string()],
            states: run.report.counts.states,
        }
    }

    fn reads_like(&self, other: &Row) -> bool {
        (&self.name, &self.marks, self.as_expected)
            == (&other.name, &other.marks, other.as_expected)
    }

    fn join(&mut self, other: Row) {
        self.pages.extend(other.pages);
        self.states += other.states;
    }

    fn cells(self) -> Vec<String> {
        let as_expected = if self.as_expected { "yes" } else { "NO" };
        [self.name, self.pages.join(" ")]
            .into_iter()
            .chain(self.marks.into_iter().map(str::to_owned))
            .chain([self.states.to_string(), as_expected.to_owned()])
            .collect()
    }
}

fn mark(verdict: Verdict, expected: Option<&Expected>) -> &'static str {
    match (verdict, expected) {
        (Verdict::Holds, _) => "holds",
        (Verdict::Violated, Some(Expected::ByDesign(_))) => "design",
        (Verdict::Violated, _) => "BROKEN",
        (Verdict::NotApplicable, _) => "–",
    }
}
