//! `costs`: how often each lock is taken.

use super::Ended;
use super::options::Costs;
use super::select::kernel_named;
use mlock_impl::kernel::Kernel;
use mlock_impl::machine::Class;
use mlock_refinement::table::table;

/// `costs`.
pub fn costs(what: &Costs) -> Result<(), Ended> {
    let kernels = match &what.kernel {
        Some(name) => vec![kernel_named(name)?],
        None => Kernel::ALL.to_vec(),
    };
    let classes: Vec<&str> = Class::ALL.iter().map(|class| class.name()).collect();
    let heading: Vec<&str> = ["kernel", "call", "of"]
        .into_iter()
        .chain(classes)
        .collect();
    let mut rows = Vec::new();
    for kernel in &kernels {
        let costs = mlock_refinement::costs::of(kernel);
        for cost in costs.map_err(|error| Ended::Unreadable(error.to_string()))? {
            let counts = Class::ALL
                .iter()
                .map(|class| cost.taken.get(class).copied().unwrap_or(0));
            let cells = [cost.kernel, cost.call, cost.subject.name()].map(str::to_owned);
            rows.push(
                cells
                    .into_iter()
                    .chain(counts.map(|n| n.to_string()))
                    .collect(),
            );
        }
    }
    anstream::print!("{}", table(&heading, &rows));
    Ok(())
}
