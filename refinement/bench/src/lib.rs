//! A second search engine over the same systems: stateright's own breadth-first search.
//!
//! It shares no code with ours but the system itself, so it serves as an oracle for the number of
//! states and steps, and as what our speed is measured against.

use mlock_refinement::search::{System, Taken};
use mlock_refinement::system::{Judged, Tally};
use stateright::{Checker, Model, Property};
use std::sync::Arc;

/// A judged kernel, as stateright sees it: an action is the CPU that moves.
#[derive(Clone, Debug)]
pub struct Adapter(pub Arc<Judged>);

impl Model for Adapter {
    type State = Vec<u64>;
    type Action = usize;

    fn init_states(&self) -> Vec<Vec<u64>> {
        vec![self.0.initial()]
    }

    fn actions(&self, _: &Vec<u64>, actions: &mut Vec<usize>) {
        actions.extend(0..self.0.actors());
    }

    fn next_state(&self, state: &Vec<u64>, cpu: usize) -> Option<Vec<u64>> {
        let (mut next, mut notes) = (Vec::new(), Tally::default());
        let taken = self
            .0
            .step(state, cpu, &mut next, &mut Vec::new(), &mut notes);
        (taken == Taken::Moved).then_some(next)
    }

    /// A property that always holds, so that the search goes on to the end.
    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("true", |_, _| true)]
    }
}

/// What stateright sees of a system: its states, and the steps between them.
pub fn stateright(system: Arc<Judged>, threads: usize) -> (usize, usize) {
    let checker = Adapter(system)
        .checker()
        .threads(threads)
        .spawn_bfs()
        .join();
    // It counts the first state as reached by a step.
    (checker.unique_state_count(), checker.state_count() - 1)
}
