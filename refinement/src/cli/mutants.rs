//! `mutants`: sound kernels with a mistake in them, and which law notices.

use super::Ended;
use super::options::{Format, Mutants};
use super::select::{all, kernel_named};

use mlock_impl::kernel::Kernel;
use mlock_refinement::fixture::Named;
use mlock_refinement::mutants::guards::{self, Change};
use mlock_refinement::mutants::reasons::REASONS;
use mlock_refinement::mutants::{Fate, Kill, Mutant, locks, mutants, sound};
use mlock_refinement::reasons;
use mlock_refinement::table::{LAWS, table};
use mlock_spec::Law;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// `mutants`.
pub fn print(asked: &Mutants) -> Result<(), Ended> {
    let fixtures = all()?;
    if asked.spec {
        return print_spec(&fixtures, asked.format);
    }
    let kernels = match &asked.kernel {
        Some(name) => vec![kernel_named(name)?],
        None => sound(&fixtures),
    };
    if asked.locks {
        return print_locks(&kernels, &fixtures, asked.format);
    }
    let mut found: Vec<Mutant> = Vec::new();
    for kernel in kernels {
        let of_kernel = mutants(kernel, &fixtures, &mut |_| true);
        found.extend(of_kernel.map_err(Ended::Unreadable)?);
    }
    if asked.format == Format::Json {
        let rows: Vec<Value> = found.iter().map(row).collect();
        anstream::println!("{}", json!({"format": 1, "mutants": rows}));
    } else {
        anstream::print!("{}{}", listing(&found), summary(&found));
    }
    let unexplained =
        |m: &Mutant| matches!(m.fate, Fate::Survived | Fate::Undecided) && why(m).is_none();
    if found.iter().any(unexplained) {
        return Err(Ended::NotAsExpected);
    }
    Ok(())
}

fn why(mutant: &Mutant) -> Option<&'static str> {
    reasons::why(&REASONS, &mutant.text)
}

fn row(mutant: &Mutant) -> Value {
    let mut row = json!({
        "kernel": mutant.kernel, "mutation": mutant.text, "verdict": mutant.fate.word(),
        "law": null, "reason": null,
    });
    match &mutant.fate {
        Fate::Killed(kill) => {
            row["law"] = json!(kill.laws.first());
            row["steps"] = json!(kill.steps);
            row["fixture"] = json!(kill.fixture);
            row["pages"] = json!(kill.pages);
        }
        Fate::Survived => row["reason"] = json!(why(mutant)),
        Fate::NoProgram | Fate::Undecided => {}
    }
    row
}

/// One line for each mutant.
fn listing(found: &[Mutant]) -> String {
    let cells = |mutant: &Mutant| {
        let what = match &mutant.fate {
            Fate::Killed(kill) => kill.to_string(),
            Fate::Survived => why(mutant).unwrap_or("no reason is known").to_owned(),
            Fate::NoProgram => "leaves the range of the model".to_owned(),
            Fate::Undecided => "its space is too large".to_owned(),
        };
        let verdict = mutant.fate.word().to_owned();
        vec![mutant.kernel.to_owned(), mutant.text.clone(), verdict, what]
    };
    let rows: Vec<Vec<String>> = found.iter().map(cells).collect();
    table(&["kernel", "mutation", "verdict", "by, or why not"], &rows)
}

/// How many of each kernel were killed, and by which law.
fn summary(found: &[Mutant]) -> String {
    let mut kernels: Vec<&str> = found.iter().map(|m| m.kernel).collect();
    kernels.dedup();
    let mut text = String::new();
    for kernel in kernels {
        let of_kernel = || found.iter().filter(|m| m.kernel == kernel);
        let count = |word: &str| of_kernel().filter(|m| m.fate.word() == word).count();
        let mut by: BTreeMap<&str, usize> = BTreeMap::new();
        for mutant in of_kernel() {
            if let Fate::Killed(kill) = &mutant.fate {
                *by.entry(kill.by()).or_insert(0) += 1;
            }
        }
        let by: Vec<String> = by.iter().map(|(law, n)| format!("{law} {n}")).collect();
        text += &format!(
            "\n{kernel}: {} mutants: {} killed ({}), {} survived, {} no program.\n",
            of_kernel().count(),
            count("killed"),
            by.join(", "),
            count("survived"),
            count("no program"),
        );
    }
    text
}

/// For each lock and each kernel, the laws that it upholds.
fn print_locks(kernels: &[Kernel], fixtures: &[Named], format: Format) -> Result<(), Ended> {
    let mut sites: BTreeMap<String, BTreeMap<&str, Vec<Kill>>> = BTreeMap::new();
    for kernel in kernels {
        for (site, kills) in locks(*kernel, fixtures).map_err(Ended::Unreadable)? {
            sites.entry(site).or_default().insert(kernel.name, kills);
        }
    }
    if format == Format::Json {
        let of_site = |by_kernel: &BTreeMap<&str, Vec<Kill>>| -> Value {
            let laws = by_kernel
                .iter()
                .map(|(kernel, kills)| (*kernel, laws(kills)));
            json!(laws.collect::<BTreeMap<_, _>>())
        };
        let sites: BTreeMap<&String, Value> = sites.iter().map(|(s, k)| (s, of_site(k))).collect();
        anstream::println!("{}", json!({"format": 1, "locks": sites}));
        return Ok(());
    }
    anstream::print!("{}", table(&["lock", "upholds", "in"], &lock_rows(&sites)));
    Ok(())
}

/// The kernels in which a lock upholds the same laws share a row; locks that uphold none come last.
fn lock_rows(sites: &BTreeMap<String, BTreeMap<&str, Vec<Kill>>>) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (site, by_kernel) in sites {
        let site = site.replace(": without ", ": ");
        let mut by_laws: Vec<(String, Vec<&str>)> = Vec::new();
        for (kernel, kills) in by_kernel {
            let laws = short(kills);
            match by_laws.iter_mut().find(|(known, _)| *known == laws) {
                Some((_, kernels)) => kernels.push(kernel),
                None => by_laws.push((laws, vec![kernel])),
            }
        }
        for (laws, kernels) in by_laws {
            let all = kernels.len() == by_kernel.len() && kernels.len() > 1;
            let kernels = if all {
                "all that take it".to_owned()
            } else {
                kernels.join(" ")
            };
            rows.push(vec![site.clone(), laws, kernels]);
        }
    }
    rows.sort_by_key(|row| row[1] == NOTHING);
    rows
}

/// What a lock upholds that can be left out.
const NOTHING: &str = "nothing here";

fn laws(kills: &[Kill]) -> BTreeSet<Law> {
    kills
        .iter()
        .flat_map(|kill| kill.laws.iter().copied())
        .collect()
}

fn short(kills: &[Kill]) -> String {
    let broken = laws(kills);
    let names = Law::ALL
        .iter()
        .zip(LAWS)
        .filter(|(law, _)| broken.contains(law));
    match (kills, names.map(|(_, name)| name).collect::<Vec<_>>()) {
        ([], _) => NOTHING.to_owned(),
        (_, names) if names.is_empty() => "outcomes".to_owned(),
        (_, names) => names.join(" "),
    }
}

/// For each guard and each law, who notices that it is weaker, or stricter.
fn print_spec(fixtures: &[Named], format: Format) -> Result<(), Ended> {
    let guards = guards::guards(fixtures).map_err(Ended::Unreadable)?;
    let laws = guards::laws(fixtures);
    let why = |change, guard| guards::why(change, guard);
    if format == Format::Json {
        let guards: Vec<Value> = guards
            .iter()
            .map(|(guard, asked)| {
                json!({
                    "guard": guard.to_string(), "law": guard.law(),
                    "weakened": {"noticed_by": asked.weakened, "later": asked.later, "reason": why(Change::Weakened, *guard)},
                    "strengthened": {"breaks": asked.strengthened, "reason": why(Change::Strengthened, *guard)},
                })
            })
            .collect();
        let laws: Vec<Value> = laws
            .iter()
            .map(|(law, by)| json!({"law": law, "deleted": {"noticed_by": by}}))
            .collect();
        anstream::println!("{}", json!({"format": 1, "guards": guards, "laws": laws}));
        return Ok(());
    }
    let mut good = true;
    let mut cell = |noticed: &BTreeSet<String>, what: &str, reason: Option<&str>| {
        good &= noticed.is_empty() == reason.is_some();
        match (noticed.first(), reason) {
            (None, reason) => reason.unwrap_or("nobody notices").to_owned(),
            (Some(first), None) => format!("{} {what}, {first}", noticed.len()),
            (Some(first), Some(_)) => format!("noticed by {first}, against the reason"),
        }
    };
    let mut rows = Vec::new();
    for (guard, asked) in &guards {
        let weak = why(Change::Weakened, *guard);
        let weakened = if asked.weakened.is_empty() {
            cell(&asked.later, "fixtures, later", weak)
        } else {
            cell(&asked.weakened, "fixtures", weak)
        };
        let strong = why(Change::Strengthened, *guard);
        let strengthened = cell(&asked.strengthened, "kernels", strong);
        let law = guard.law().to_string();
        rows.push(vec![guard.to_string(), law, strengthened, weakened]);
    }
    let heading = [
        "guard",
        "law",
        "refusing everything breaks",
        "not asked, noticed by",
    ];
    anstream::println!("{}", table(&heading, &rows));
    let rows: Vec<Vec<String>> = laws
        .iter()
        .map(|(law, by)| vec![law.to_string(), cell(by, "fixtures", None)])
        .collect();
    anstream::print!("{}", table(&["law", "deleted, noticed by"], &rows));
    if good {
        Ok(())
    } else {
        Err(Ended::NotAsExpected)
    }
}
