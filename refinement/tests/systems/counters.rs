//! Actors that count, for spaces of a known size.

use mlock_refinement::search::{Finding, System, Taken};

/// Actors that count on their own: as many states as there are numbers.
pub(crate) struct Counters {
    pub(crate) to: u64,
    pub(crate) widths: Vec<usize>,
}

impl System for Counters {
    type Notes = ();

    fn initial(&self) -> Vec<u64> {
        vec![0; self.widths.iter().sum()]
    }

    fn blocks(&self) -> Vec<usize> {
        self.widths.clone()
    }

    fn actors(&self) -> usize {
        self.widths.len()
    }

    fn step(
        &self,
        state: &[u64],
        actor: usize,
        next: &mut Vec<u64>,
        _: &mut Vec<Finding>,
        (): &mut (),
    ) -> Taken {
        let at: usize = self.widths[..actor].iter().sum();
        if state[at] == self.to {
            return Taken::Done;
        }
        next.clear();
        next.extend(state);
        // All words count, in steps of different widths.
        for (i, word) in (0..).zip(&mut next[at..at + self.widths[actor]]) {
            *word = word.wrapping_add(u64::pow(37, i % 12));
        }
        Taken::Moved
    }

    fn end(&self, _: &[u64], (): &mut ()) {}

    fn label(&self, state: &[u64], actor: usize) -> u32 {
        let at: usize = self.widths[..actor].iter().sum();
        state[at] as u32
    }
}
