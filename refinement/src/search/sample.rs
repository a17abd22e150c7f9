//! Random schedules: single runs from the start to an end, for spaces too large to search.
//!
//! What a sample finds is there; what it does not find may be there all the same.
//! A run is decided by its seed alone, to the byte, on every machine.
//!
//! Two schedulers:
//!
//! * *uniform*: at each step, one of the actors that can move, each as likely;
//! * *PCT*: each actor has a random priority and the highest that can move does; at a few steps, drawn
//!   beforehand, the one whose turn it is falls behind all others.
//!   A bug that needs `d` such orderings is met in a run with a probability of at least `1/(n·kᵈ⁻¹)`
//!   for `n` actors and `k` steps (Burckhardt et al., "A Randomized Scheduler with Probabilistic
//!   Guarantees of Finding Bugs", 2010).
//!
//! # What this does not model
//!
//! Livelocks: a run that does not end within its most steps is cut short and counted.

use super::{Finding, System, Taken};
use std::collections::BTreeMap;

/// Who moves next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduler {
    /// One of those that can, each as likely.
    Uniform,
    /// By priorities that change at `depth − 1` steps.
    Pct {
        /// How many orderings a bug may need.
        depth: usize,
    },
}

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Sampling {
    /// The scheduler.
    pub scheduler: Scheduler,
    /// What decides the schedules.
    pub seed: u64,
    /// The number of runs.
    pub schedules: usize,
    /// The most steps of one run.
    pub most_steps: usize,
}

/// A finding, the first time it was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// In which run, from 1 on.
    pub run: usize,
    /// Who moved, step by step, the telling step included.
    pub schedule: Vec<usize>,
}

/// What the runs have seen.
#[derive(Debug)]
pub struct Sample<N> {
    /// Runs.
    pub runs: usize,
    /// Steps, all runs together.
    pub steps: usize,
    /// Runs that were cut short.
    pub cut_short: usize,
    /// For each finding, where it was met first.
    pub first: BTreeMap<Finding, Met>,
    /// What the system remembered.
    pub notes: N,
}

/// Takes the runs one after the other, until `enough` of what was found.
pub fn sample<S: System>(
    system: &S,
    sampling: Sampling,
    enough: &mut dyn FnMut(&BTreeMap<Finding, Met>) -> bool,
) -> Sample<S::Notes> {
    let mut sample = Sample {
        runs: 0,
        steps: 0,
        cut_short: 0,
        first: BTreeMap::new(),
        notes: S::Notes::default(),
    };
    // The length of runs, as far as it is known, decides where priorities may change.
    let mut longest = 1;
    while sample.runs < sampling.schedules && !enough(&sample.first) {
        sample.runs += 1;
        let mut random = Random::new(sampling.seed, sample.runs as u64);
        let mut turns = Turns::new(sampling.scheduler, system.actors(), longest, &mut random);
        let length = run(
            system,
            sampling.most_steps,
            &mut turns,
            &mut random,
            &mut sample,
        );
        longest = longest.max(length);
    }
    sample
}

/// One run; tells its length in steps.
fn run<S: System>(
    system: &S,
    most_steps: usize,
    turns: &mut Turns,
    random: &mut Random,
    sample: &mut Sample<S::Notes>,
) -> usize {
    let (mut state, mut next) = (system.initial(), Vec::new());
    let (mut schedule, mut findings) = (Vec::new(), Vec::new());
    loop {
        if schedule.len() == most_steps {
            sample.cut_short += 1;
            return schedule.len();
        }
        let mut taken = Taken::Done;
        let mut waits = false;
        for actor in turns.order(schedule.len(), random) {
            findings.clear();
            taken = system.step(&state, actor, &mut next, &mut findings, &mut sample.notes);
            waits |= taken == Taken::Blocked;
            for finding in findings.drain(..) {
                // Who waits tells so before it moves.
                let last = (taken != Taken::Blocked).then_some(actor);
                let met = || Met {
                    run: sample.runs,
                    schedule: schedule.iter().copied().chain(last).collect(),
                };
                sample.first.entry(finding).or_insert_with(met);
            }
            if matches!(taken, Taken::Moved | Taken::Crashed) {
                schedule.push(actor);
                sample.steps += 1;
                break;
            }
        }
        match taken {
            Taken::Moved => std::mem::swap(&mut state, &mut next),
            Taken::Crashed => return schedule.len(),
            Taken::Blocked | Taken::Done => {
                if waits {
                    let met = Met {
                        run: sample.runs,
                        schedule: schedule.clone(),
                    };
                    sample.first.entry(Finding::DEADLOCK).or_insert(met);
                } else {
                    system.end(&state, &mut sample.notes);
                }
                return schedule.len();
            }
        }
    }
}

/// In which order the actors are asked to move.
struct Turns {
    scheduler: Scheduler,
    /// The actors, first come first.
    order: Vec<usize>,
    /// The steps, counted from 0, before which the first of them falls behind.
    changes: Vec<usize>,
}

impl Turns {
    fn new(scheduler: Scheduler, actors: usize, steps: usize, random: &mut Random) -> Turns {
        let mut order: Vec<usize> = (0..actors).collect();
        random.shuffle(&mut order);
        let changes = match scheduler {
            Scheduler::Uniform => Vec::new(),
            Scheduler::Pct { depth } => (1..depth).map(|_| random.below(steps)).collect(),
        };
        Turns {
            scheduler,
            order,
            changes,
        }
    }

    fn order(&mut self, step: usize, random: &mut Random) -> Vec<usize> {
        match self.scheduler {
            Scheduler::Uniform => random.shuffle(&mut self.order),
            Scheduler::Pct { .. } => {
                for _ in self.changes.iter().filter(|change| **change == step) {
                    self.order.rotate_left(1);
                }
            }
        }
        self.order.clone()
    }
}

/// SplitMix64 (Steele, Lea, Flood, 2014): small, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of this number under a seed.
    pub fn new(seed: u64, stream: u64) -> Random {
        let mut random = Random(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        random.bits();
        random
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: usize) -> usize {
        // The high half of a 128-bit product: no remainder to favour small numbers noticeably.
        ((u128::from(self.bits()) * end as u128) >> 64) as usize
    }

    /// Puts a list in a random order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two actors add 1 to a number that both can see, each by a load and a store.
    struct Adders;

    const LOST: Finding = Finding(0);

    impl System for Adders {
        type Notes = ();

        fn initial(&self) -> Vec<u64> {
            // The number; for each actor, how far it is, and what it has loaded.
            vec![0; 5]
        }

        fn actors(&self) -> usize {
            2
        }

        fn step(
            &self,
            state: &[u64],
            actor: usize,
            next: &mut Vec<u64>,
            findings: &mut Vec<Finding>,
            (): &mut (),
        ) -> Taken {
            next.clear();
            next.extend_from_slice(state);
            let (at, loaded) = (1 + actor, 3 + actor);
            match state[at] {
                0 => next[loaded] = state[0],
                1 => next[0] = state[loaded] + 1,
                _ => return Taken::Done,
            }
            next[at] += 1;
            if next[1..3] == [2, 2] && next[0] == 1 {
                findings.push(LOST);
            }
            Taken::Moved
        }

        fn end(&self, _: &[u64], (): &mut ()) {}

        fn label(&self, _: &[u64], _: usize) -> u32 {
            0
        }
    }

    fn sampled(scheduler: Scheduler, seed: u64) -> Sample<()> {
        let sampling = Sampling {
            scheduler,
            seed,
            schedules: 100,
            most_steps: 10,
        };
        sample(&Adders, sampling, &mut |_| false)
    }

    #[test]
    fn both_schedulers_lose_an_update_and_a_seed_decides_how() {
        for scheduler in [Scheduler::Uniform, Scheduler::Pct { depth: 2 }] {
            for seed in 0..20 {
                let (first, again) = (sampled(scheduler, seed), sampled(scheduler, seed));
                assert!(first.first.contains_key(&LOST));
                assert_eq!(first.first, again.first);
                assert_eq!((first.runs, first.steps, first.cut_short), (100, 400, 0));
            }
        }
        let runs = |seed| sampled(Scheduler::Uniform, seed).first[&LOST].run;
        assert!((0..20).any(|seed| runs(seed) != runs(0)));
    }

    #[test]
    fn priorities_without_a_change_lose_nothing() {
        let sample = sampled(Scheduler::Pct { depth: 1 }, 1);
        assert!(sample.first.is_empty());
    }

    #[test]
    fn enough_is_enough() {
        let sampling = Sampling {
            scheduler: Scheduler::Uniform,
            seed: 1,
            schedules: 100,
            most_steps: 10,
        };
        let sample = sample(&Adders, sampling, &mut |first| first.contains_key(&LOST));
        assert_eq!(sample.runs, sample.first[&LOST].run);
    }
}
