//! `pin`: the sizes of the searched spaces, written into the fixtures.

use super::options::Selection;
use super::runs::{jobs, search};
use super::select::selected;
use super::{Ended, write_whole};
use mlock_refinement::fixture::print;

/// `pin`.
pub fn pin(what: &Selection) -> Result<(), Ended> {
    let named = selected(what)?;
    let jobs = jobs(what, &named)?;
    let results = search(&what.engine, &jobs);
    let mut good = true;
    for named in &named {
        let mut fixture = named.fixture.clone();
        let own = jobs
            .iter()
            .zip(&results)
            .filter(|(job, _)| job.named.path == named.path);
        for (job, result) in own {
            let wrong = result
                .differences
                .iter()
                .filter(|d| !d.starts_with("counts: "));
            for difference in wrong {
                good = false;
                anstream::println!("{} at {} pages: {difference}", named.name, job.pages);
            }
            fixture.counts.insert(job.pages, result.report.counts);
        }
        fixture
            .counts
            .retain(|&pages, _| named.fixture.sizes().any(|size| size == pages));
        let text = print(&fixture).map_err(|error| Ended::Unreadable(error.to_string()))?;
        write_whole(&named.path, &text)?;
    }
    if good {
        Ok(())
    } else {
        Err(Ended::NotAsExpected)
    }
}
