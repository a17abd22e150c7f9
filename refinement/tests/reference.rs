//! A reference that shares no code with the search: a depth-first walk that remembers whole states in
//! an ordered set.
//! For every fixture at its smallest size it sees as many states, steps, ends and deadlocks, and the
//! same things are told.

use mlock_refinement::check::check;
use mlock_refinement::fixture::{files, load};
use mlock_refinement::search::{Finding, Options, System, Taken};
use mlock_refinement::system::{Judged, Tally};
use std::collections::BTreeSet;
use std::path::Path;

#[derive(Default)]
struct Reference {
    seen: BTreeSet<Vec<u64>>,
    transitions: usize,
    told: BTreeSet<Finding>,
    notes: Tally,
}

impl Reference {
    fn walk(&mut self, system: &Judged, state: Vec<u64>) {
        if !self.seen.insert(state.clone()) {
            return;
        }
        let mut taken = Vec::new();
        for actor in 0..system.actors() {
            let (mut next, mut findings) = (Vec::new(), Vec::new());
            taken.push(system.step(&state, actor, &mut next, &mut findings, &mut self.notes));
            self.told.extend(findings);
            if taken.last() == Some(&Taken::Moved) {
                self.transitions += 1;
                self.walk(system, next);
            }
        }
        if taken.iter().all(|t| *t == Taken::Done) {
            system.end(&state, &mut self.notes);
        } else if taken
            .iter()
            .all(|t| matches!(t, Taken::Done | Taken::Blocked))
        {
            self.told.insert(Finding::DEADLOCK);
        }
    }
}

#[test]
fn the_search_sees_what_a_plain_walk_sees() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let walk = std::thread::Builder::new().stack_size(4 << 30);
    let compare = move || {
        for path in files(&folder).unwrap() {
            let fixture = load(&path).unwrap();
            let system = fixture
                .concrete(fixture.pages[0])
                .unwrap()
                .judged()
                .unwrap();
            let mut plain = Reference::default();
            plain.walk(&system, system.initial());
            let mut report = check(&system, Options::default());
            let path = path.display();
            assert_eq!(report.counts.states, plain.seen.len(), "{path}: states");
            assert_eq!(
                report.counts.transitions, plain.transitions,
                "{path}: transitions"
            );
            assert_eq!(
                report.outcomes, plain.notes.outcomes,
                "{path}: final states"
            );
            // Livelocks are a matter of the whole space, which the walk does not look at.
            report.found.remove(&Finding::LIVELOCK);
            assert_eq!(report.found, plain.told, "{path}: findings");
        }
    };
    walk.spawn(compare).unwrap().join().unwrap();
}
