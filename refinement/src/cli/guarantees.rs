//! `guarantees`: kernel × law, out of the runs of all fixtures.

use super::Ended;
use super::options::{self, Format};
use super::runs::{Job, Searched, jobs, search};
use super::select::selected;
use super::table::table;
use mlock_impl::kernel::Kernel;
use mlock_refinement::guarantees::{Guarantee, Guarantees, Run, Standing, guarantees};
use mlock_refinement::mutants::PROBES;
use mlock_spec::Law;
use serde_json::json;

/// `guarantees`.
pub fn print(asked: &options::Guarantees) -> Result<(), Ended> {
    let what = &asked.selection;
    let mut named = selected(what)?;
    // One kernel's own: beside the fixtures that every kernel has they would make it look different.
    named.retain(|n| !n.name.starts_with(PROBES) || !what.fixtures.is_empty());
    let jobs = jobs(what, &named)?;
    let results = search(&what.engine, &jobs);
    let all: Vec<(&str, Guarantees)> = Kernel::ALL
        .iter()
        .map(|kernel| (kernel.name, runs(kernel.name, &jobs, &results)))
        .filter(|(_, runs)| !runs.is_empty())
        .map(|(name, runs)| (name, guarantees(&runs)))
        .collect();
    if what.format == Format::Json {
        let rows: Vec<_> = all
            .iter()
            .map(|(name, g)| json!({"kernel": name, "laws": g.laws, "transient": g.transient}))
            .collect();
        anstream::println!("{}", json!({"format": 1, "guarantees": rows}));
        return Ok(());
    }
    anstream::print!("{}", matrix(&all));
    if asked.brief {
        return Ok(());
    }
    for (name, kernel) in &all {
        for (law, guarantee) in &kernel.laws {
            if let Some(text) = story(guarantee) {
                anstream::println!("\n{name}: {law} {text}");
            }
        }
    }
    Ok(())
}

fn runs<'r>(kernel: &str, jobs: &'r [Job<'_>], results: &'r [Searched]) -> Vec<Run<'r>> {
    let own = jobs.iter().zip(results).filter(|(j, _)| j.kernel == kernel);
    own.map(|(job, result)| Run {
        name: &job.named.name,
        fixture: &job.named.fixture,
        pages: job.pages,
        report: &result.report,
    })
    .collect()
}

fn matrix(all: &[(&str, Guarantees)]) -> String {
    let heading: Vec<&str> = ["kernel"]
        .into_iter()
        .chain(super::table::LAWS)
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

// The columns of the matrix are the laws in their order.
const _: () = assert!(super::table::LAWS.len() == Law::ALL.len());
