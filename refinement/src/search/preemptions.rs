//! A system under a bound on preemptions: how often the schedule may leave an actor that could go on.
//!
//! Most races need only one or two (Musuvathi and Qadeer, *Iterative context bounding*, 2007), and a
//! system of many actors has far fewer such interleavings than others.
//! The state carries one word more: who moved last, and how often it was left.

use super::{Finding, System, Taken};

/// The system.
#[derive(Debug)]
pub struct Preemptions<'s, S> {
    system: &'s S,
    most: u16,
}

impl<'s, S: System> Preemptions<'s, S> {
    /// Bounds a system to so many preemptions.
    pub fn new(system: &'s S, most: u16) -> Self {
        Preemptions { system, most }
    }

    /// Whether `actor` may move next, and the word behind its step.
    fn passes(&self, state: &[u64], word: u64, actor: usize) -> Option<u64> {
        let (last, left) = (word >> 16, word & 0xffff);
        let mine = actor as u64 + 1;
        if last == 0 || last == mine {
            return Some(mine << 16 | left);
        }
        let (mut next, mut notes) = (Vec::new(), S::Notes::default());
        let taken = self.system.step(
            state,
            last as usize - 1,
            &mut next,
            &mut Vec::new(),
            &mut notes,
        );
        let left = left + u64::from(matches!(taken, Taken::Moved | Taken::Crashed));
        (left <= u64::from(self.most)).then_some(mine << 16 | left)
    }
}

impl<S: System> System for Preemptions<'_, S> {
    type Notes = S::Notes;

    fn initial(&self) -> Vec<u64> {
        let mut state = self.system.initial();
        state.push(0);
        state
    }

    fn blocks(&self) -> Vec<usize> {
        let mut blocks = self.system.blocks();
        blocks.push(1);
        blocks
    }

    fn actors(&self) -> usize {
        self.system.actors()
    }

    fn step(
        &self,
        state: &[u64],
        actor: usize,
        next: &mut Vec<u64>,
        findings: &mut Vec<Finding>,
        notes: &mut Self::Notes,
    ) -> Taken {
        let Some((&word, state)) = state.split_last() else {
            return Taken::Done;
        };
        let Some(word) = self.passes(state, word, actor) else {
            return Taken::Blocked;
        };
        let taken = self.system.step(state, actor, next, findings, notes);
        next.push(word);
        taken
    }

    fn end(&self, state: &[u64], notes: &mut Self::Notes) {
        if let Some((_, state)) = state.split_last() {
            self.system.end(state, notes);
        }
    }

    fn label(&self, state: &[u64], actor: usize) -> u32 {
        state
            .split_last()
            .map_or(0, |(_, state)| self.system.label(state, actor))
    }
}
