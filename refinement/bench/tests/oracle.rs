//! Stateright sees as many states and steps as our search, on every fixture at its smallest size.

use mlock_bench::stateright;
use mlock_refinement::check::check;
use mlock_refinement::fixture::{files, load};
use mlock_refinement::search::Options;
use std::path::Path;
use std::sync::Arc;

#[test]
fn stateright_counts_as_we_do() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    for path in files(&folder).unwrap() {
        let fixture = load(&path).unwrap();
        let system = fixture
            .concrete(fixture.pages[0])
            .unwrap()
            .judged()
            .unwrap();
        let ours = check(&system, Options::default()).counts;
        let theirs = stateright(Arc::new(system), 1);
        let path = path.display();
        assert_eq!((ours.states, ours.transitions), theirs, "{path}");
    }
}
