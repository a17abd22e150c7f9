//! What each kernel guarantees: the verdicts of all its fixtures, put together law by law.

use crate::check::Run;
use crate::fixture::{Expected, Formula, Verdict};
use crate::mutants::PROBES;
use crate::system::Span;
use crate::table::{LAWS, table};
use mlock_impl::kernel::Kernel;
use mlock_spec::Law;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// How a kernel stands to a law, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Standing {
    /// No fixture puts it to the test.
    #[serde(rename = "not tested")]
    NotTested,
    /// No interleaving of any fixture breaks it.
    #[serde(rename = "holds")]
    Holds,
    /// It breaks, and that was accepted.
    #[serde(rename = "violated by design")]
    ByDesign,
    /// It breaks.
    #[serde(rename = "violated")]
    Violated,
}

/// How a kernel stands to one law.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Guarantee {
    /// The standing.
    pub standing: Standing,
    /// The shortest way to break it, over all fixtures and sizes.
    pub shortest: Option<Shortest>,
    /// How far it is broken at worst.
    pub effect: Option<Effect>,
}

/// The shortest way to break a law.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Shortest {
    /// Its length in steps.
    pub steps: usize,
    /// Base pages per huge page.
    pub pages: u16,
    /// Where.
    pub fixture: String,
    /// Why, in the words of the fixture.
    pub because: String,
}

/// How far a law is broken by the fixture that breaks it most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// Where.
    pub fixture: String,
    /// In base pages, for each size.
    pub at: BTreeMap<u16, Span>,
}

/// What one kernel guarantees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Guarantees {
    /// Law by law.
    pub laws: BTreeMap<Law, Guarantee>,
    /// The statistic less the mlocked pages, in any state, call in flight or not: the fixture that
    /// shows the most.
    pub transient: Option<Effect>,
}

/// Puts the runs of each kernel together, in the order of the story.
///
/// Probes are left out: what a kernel guarantees, its own scenarios say.
pub fn of_kernels(runs: &[Run<'_>]) -> Vec<(&'static str, Guarantees)> {
    let of = |kernel: Kernel| {
        let own = runs
            .iter()
            .filter(|run| run.kernel == kernel.name && !run.name.starts_with(PROBES));
        let own: Vec<Run<'_>> = own.copied().collect();
        (!own.is_empty()).then(|| (kernel.name, guarantees(&own)))
    };
    Kernel::ALL.into_iter().filter_map(of).collect()
}

/// Puts the runs of one kernel together.
fn guarantees(runs: &[Run<'_>]) -> Guarantees {
    Guarantees {
        laws: Law::ALL
            .into_iter()
            .map(|law| (law, guarantee(law, runs)))
            .collect(),
        transient: worst(runs, |run| {
            (!run.report.reduced).then_some(run.report.tally.transient)
        }),
    }
}

fn guarantee(law: Law, runs: &[Run<'_>]) -> Guarantee {
    Guarantee {
        standing: runs
            .iter()
            .map(|run| standing(law, run))
            .max()
            .unwrap_or(Standing::NotTested),
        shortest: runs.iter().filter_map(|run| shortest(law, run)).min(),
        effect: worst(runs, |run| run.report.tally.effects.get(&law).copied()),
    }
}

fn standing(law: Law, run: &Run<'_>) -> Standing {
    let expected = run.fixture.laws.get(&law);
    match (run.report.laws[&law].verdict, expected) {
        (Verdict::NotApplicable, _) => Standing::NotTested,
        (Verdict::Holds, _) => Standing::Holds,
        (Verdict::Violated, Some(Expected::ByDesign(_))) => Standing::ByDesign,
        (Verdict::Violated, _) => Standing::Violated,
    }
}

fn shortest(law: Law, run: &Run<'_>) -> Option<Shortest> {
    let (_, steps) = run.report.laws[&law]
        .broken
        .filter(|_| !run.report.reduced)?;
    let because = run.fixture.laws.get(&law).map_or("", Expected::because);
    Some(Shortest {
        steps,
        pages: run.pages,
        fixture: run.name.to_owned(),
        because: because.to_owned(),
    })
}

/// The fixture with the largest amount at the largest size it shares with the others.
fn worst(runs: &[Run<'_>], amount: impl Fn(&Run<'_>) -> Option<Span>) -> Option<Effect> {
    let mut effects: BTreeMap<&str, BTreeMap<u16, Span>> = BTreeMap::new();
    for run in runs {
        if let Some(span) = amount(run).filter(|span| *span != Span::default()) {
            effects.entry(run.name).or_default().insert(run.pages, span);
        }
    }
    let size = |span: &Span| span.most.max(-span.least);
    let shared = effects.values().filter_map(|at| at.keys().last()).min();
    let shared = shared.copied()?;
    let (fixture, at) = effects
        .into_iter()
        .rev()
        .max_by_key(|(_, at)| at.get(&shared).map_or(0, size))?;
    Some(Effect {
        fixture: fixture.to_owned(),
        at,
    })
}

impl fmt::Display for Effect {
    /// As a formula in the pages per huge page where one fits all sizes: `−(P − 1) … P − 1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ends = [|s: &Span| s.least, |s: &Span| s.most].map(|end| {
            let values = self.at.iter().map(|(&pages, span)| (pages, end(span)));
            amount(&values.collect::<Vec<_>>())
        });
        match ends.each_ref().map(String::as_str) {
            ["0", most] => f.write_str(most),
            [least, "0"] => f.write_str(least),
            [least, most] => write!(f, "{least} … {most}"),
        }
    }
}

/// A formula for values at several sizes, or the last of them.
fn amount(values: &[(u16, i64)]) -> String {
    let signed = |text: String, value: i64| {
        if value > 0 { format!("+{text}") } else { text }
    };
    let Some(&(size, last)) = values.last() else {
        return "0".to_owned();
    };
    match Formula::through(values) {
        Some(formula) => signed(formula.to_string(), last),
        None => signed(format!("{last} at {size}"), last),
    }
}

/// Kernel × law, as a table.
pub fn matrix(all: &[(&str, Guarantees)]) -> String {
    let heading: Vec<&str> = ["kernel"]
        .into_iter()
        .chain(LAWS)
        .chain(["nr_mlock − mlocked, any time"])
        .collect();
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|(name, kernel)| {
            let marks = kernel.laws.values().map(|g| mark(g.standing).to_owned());
            let transient = match &kernel.transient {
                Some(effect) => effect.to_string(),
                None => "0".to_owned(),
            };
            [(*name).to_owned()]
                .into_iter()
                .chain(marks)
                .chain([transient])
                .collect()
        })
        .collect();
    table(&heading, &rows)
}

/// How each broken law is broken, a paragraph each.
pub fn stories(all: &[(&str, Guarantees)]) -> String {
    let mut text = String::new();
    for (name, kernel) in all {
        for (law, guarantee) in &kernel.laws {
            if let Some(story) = story(guarantee) {
                text += &format!("\n{name}: {law} {story}\n");
            }
        }
    }
    text
}

fn mark(standing: Standing) -> &'static str {
    match standing {
        Standing::NotTested => "–",
        Standing::Holds => "holds",
        Standing::ByDesign => "design",
        Standing::Violated => "BROKEN",
    }
}

/// How a law is broken, if it is.
fn story(guarantee: &Guarantee) -> Option<String> {
    let shortest = guarantee.shortest.as_ref()?;
    let by_design = match guarantee.standing {
        Standing::ByDesign => " by design",
        _ => "",
    };
    let mut text = format!(
        "is broken{by_design}: {}\n  shortest: {} steps, {} at {} pages",
        shortest.because, shortest.steps, shortest.fixture, shortest.pages
    );
    if let Some(effect) = &guarantee.effect {
        text += &format!("\n  at worst: {effect} base pages, {}", effect.fixture);
    }
    Some(text)
}
