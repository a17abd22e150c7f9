//! Traps that other checkers fell into, one test each.
//!
//! Three more are watched elsewhere: that no reduction drops a step that can be seen is asked of every
//! small fixture (`fixtures/agreement.rs`), a specification that is true behind guards that nobody
//! reaches shows as never seen (`fixtures/together.rs`), and there is no exporter that could leave
//! out edges to states seen before, but they are counted (here).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mlock_refinement::check::check;
use mlock_refinement::counterexample::{Replay, Replayed, Topic, find};
use mlock_refinement::fixture::{Call, Fixture, Mm, Range, Verdict, load, parse};
use mlock_refinement::search::{
    Coverage, Finding, Goal, Limits, Options, Reduction, System, Taken, explore, shortest,
};
use mlock_spec::Law;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Two actors that are alike and count to two. It is told when one gets there while the other is half
/// way.
struct Counters;

const MET: Finding = Finding(7);

impl System for Counters {
    type Notes = ();

    fn initial(&self) -> Vec<u64> {
        vec![0, 0]
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
        if state[actor] == 2 {
            return Taken::Done;
        }
        next.clear();
        next.extend(state);
        next[actor] += 1;
        if next[actor] == 2 && next[1 - actor] == 1 {
            findings.push(MET);
        }
        Taken::Moved
    }

    fn end(&self, _: &[u64], (): &mut ()) {}

    fn label(&self, state: &[u64], actor: usize) -> u32 {
        state[actor] as u32
    }

    fn canonical(&self, state: &mut [u64]) {
        state.sort_unstable();
    }
}

const LIKE_ACTORS: Reduction = Reduction {
    symmetry: true,
    ..Reduction::NONE
};

fn counters(limits: Limits, reduction: Reduction) -> mlock_refinement::search::Exploration<()> {
    let options = Options {
        limits,
        reduction,
        threads: 1,
    };
    explore(&Counters, options, &mut |_| ControlFlow::Continue(()))
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

fn fixture(name: &str) -> Fixture {
    load(&fixtures().join(name)).unwrap()
}

fn mlockcheck(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mlockcheck"))
        .args(args)
        .current_dir(fixtures().join(".."))
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn symmetry_is_not_accepted_and_ignored() {
    let whole = counters(Limits::default(), Reduction::NONE);
    let like = counters(Limits::default(), LIKE_ACTORS);
    assert_eq!((whole.states, like.states), (9, 6));
    assert_eq!(whole.first, like.first);
    let states = |reduce| -> Option<u64> {
        let args = [
            "check",
            "probes/split_vs_split",
            "--pages",
            "4",
            "--reduce",
            reduce,
        ];
        let output = mlockcheck(&[&args[..], &["--format", "json"]].concat());
        let doc: serde_json::Value = serde_json::from_str(&stdout(&output)).ok()?;
        doc["results"][0]["states"].as_u64()
    };
    assert!(states("symmetry").unwrap() < states("none").unwrap());
}

#[test]
fn a_counterexample_has_the_actors_that_take_its_steps() {
    let schedule = shortest(&Counters, &Goal::Told(MET), 4).unwrap();
    let mut state = Counters.initial();
    let mut told = Vec::new();
    for actor in schedule {
        let mut next = Vec::new();
        assert_eq!(
            Counters.step(&state, actor, &mut next, &mut told, &mut ()),
            Taken::Moved
        );
        state = next;
    }
    assert_eq!(told, [MET]);
}

#[test]
fn two_actors_that_lead_to_one_state_are_two_steps_as_are_steps_to_states_seen_before() {
    let whole = counters(Limits::default(), Reduction::NONE);
    assert_eq!((whole.states, whole.transitions), (9, 12));
}

#[test]
fn a_bounded_run_is_never_called_exhaustive() {
    let none = Limits::default();
    let bounded = [
        Limits { states: 3, ..none },
        Limits { depth: 2, ..none },
        Limits { bytes: 1, ..none },
    ];
    for limits in bounded {
        let run = counters(limits, Reduction::NONE);
        assert_eq!(run.coverage, Coverage::Bounded, "{limits:?}");
    }
    assert_eq!(
        counters(none, Reduction::NONE).coverage,
        Coverage::Exhaustive
    );
    for bound in ["--max-states", "--max-depth", "--preemptions"] {
        let output = mlockcheck(&["check", "fix-lru-lock/munlock_vs_split", bound, "1"]);
        assert_eq!(output.status.code(), Some(5), "{bound}");
        assert!(stdout(&output).contains(" 0 exhaustive, "), "{bound}");
    }
    let output = mlockcheck(&["check", "v3.9/munlock_vs_split", "--memory", "0"]);
    assert_eq!(output.status.code(), Some(5));
}

#[test]
fn asking_for_counterexamples_changes_no_verdict() {
    let name = "v3.7/munlock_vs_split";
    let check = || stdout(&mlockcheck(&["check", name]));
    let before = check();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("trap.ron");
    let all = stdout(&mlockcheck(&["explain", name]));
    for law in ["AccountExactly", "SplitKeeps", "NoBug"] {
        let one = ["explain", name, "--law", law];
        let saved = mlockcheck(&[&one[..], &["--save", file.to_str().unwrap()]].concat());
        let one = stdout(&mlockcheck(&one));
        assert_eq!(one, stdout(&saved), "{law}");
        assert!(all.contains(one.trim_end()), "{law}");
    }
    assert_eq!(before, check());
}

#[test]
fn verdicts_do_not_come_from_texts() {
    let path = fixtures().join("v3.9/munlock_vs_split.ron");
    let text = std::fs::read_to_string(path).unwrap();
    let claim = text.lines().find(|line| line.contains("claim:")).unwrap();
    let odd = text.replace(
        claim,
        "    claim: \"all laws hold, none is violated or BROKEN\",",
    );
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("odd.ron");
    std::fs::write(&file, odd).unwrap();
    let laws = |what: &str| -> serde_json::Value {
        let output = mlockcheck(&["check", what, "--pages", "4", "--format", "json"]);
        let doc: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert_eq!(doc["results"][0]["as_expected"], true);
        doc["results"][0]["laws"].clone()
    };
    assert_eq!(laws(file.to_str().unwrap()), laws("v3.9/munlock_vs_split"));
}

/// A third CPU moves every place at which somebody else may come in between.
#[test]
fn a_replay_survives_what_somebody_else_may_do() {
    let mut fixture = fixture("v3.9/munlock_vs_split.ron");
    let system = |fixture: &Fixture| fixture.concrete(4).unwrap().judged().unwrap();
    let alone = system(&fixture);
    let report = check(&alone, Options::default());
    let schedule = find(&alone, &report, Topic::Law(Law::AccountExactly)).unwrap();
    let replay = Replay::new(&fixture, &alone, 4, Law::AccountExactly, &schedule);
    assert_eq!(replay.run(&alone), Replayed::Reproduces);
    fixture
        .cpus
        .push(vec![Call::Mlock(Mm::A, Range::Region(0))]);
    assert_eq!(replay.run(&system(&fixture)), Replayed::Reproduces);
}

/// One actor who goes round between two states for ever, and nobody who could stop it.
struct Round;

impl System for Round {
    type Notes = ();

    fn initial(&self) -> Vec<u64> {
        vec![0]
    }

    fn actors(&self) -> usize {
        1
    }

    fn step(
        &self,
        state: &[u64],
        _: usize,
        next: &mut Vec<u64>,
        _: &mut Vec<Finding>,
        (): &mut (),
    ) -> Taken {
        next.clear();
        next.push(1 - state[0]);
        Taken::Moved
    }

    fn end(&self, _: &[u64], (): &mut ()) {}

    fn label(&self, state: &[u64], _: usize) -> u32 {
        state[0] as u32
    }

    fn interferers(&self, _: &[u64], _: usize, (): &mut ()) -> u32 {
        0
    }
}

#[test]
fn a_loop_that_nobody_can_interfere_with_is_a_livelock_and_not_a_search_without_end() {
    for reduction in [Reduction::NONE, Reduction::ALL] {
        let options = Options {
            reduction,
            ..Options::default()
        };
        let found = explore(&Round, options, &mut |_| ControlFlow::Continue(()));
        assert!(
            found.first.contains_key(&Finding::LIVELOCK),
            "{reduction:?}"
        );
    }
}

/// Small pages that one mm unlocks, while the other locks them again, which does nothing, and truncates.
const OBSERVED_BETWEEN_CALLS: &str = r#"Fixture(
    format: 1,
    claim: "whoever looks between two calls sees something wrong",
    source: "found by a long run",
    kernel: "v3.15",
    memory: Memory(
        regions: [
            Table,
        ],
        mms: [
            MmMemory(
                maps: [0],
                locked: [Region(0)],
            ),
            MmMemory(
                maps: [0],
                locked: [Region(0)],
            ),
        ],
        mlocked: [
            Region(0),
        ],
    ),
    cpus: [
        [
            Munlock(B, Region(0)),
        ],
        [
            Mlock(A, Region(0)),
            Truncate(Region(0)),
        ],
    ],
    pages: [
        2,
    ],
    laws: {},
    outcomes: [],
    counts: {},
)
"#;

/// The laws of rest are asked between the two calls of a CPU, when the other one's has ended.
#[test]
fn reductions_do_not_lose_what_is_seen_between_two_calls() {
    let fixture = parse(OBSERVED_BETWEEN_CALLS, "between.ron").unwrap();
    let system = fixture.concrete(2).unwrap().judged().unwrap();
    for reduction in [Reduction::NONE, Reduction::ALL] {
        let options = Options {
            reduction,
            ..Options::default()
        };
        let report = check(&system, options);
        let verdict = report.laws[&Law::MlockTakesEffect].verdict;
        assert_eq!(verdict, Verdict::Violated, "{reduction:?}");
    }
}

/// Small pages that one CPU unlocks and khugepaged collapses, while another locks the first of them.
const COLLAPSED_BESIDE_A_PART: &str = r#"Fixture(
    format: 1,
    claim: "generated",
    source: "generated",
    kernel: "v5.14",
    memory: Memory(
        regions: [
            Table,
            Spare(0),
        ],
        mms: [
            MmMemory(
                maps: [0],
                locked: [Region(0)],
            ),
        ],
        mlocked: [
            Region(0),
        ],
    ),
    cpus: [
        [
            Munlock(A, Region(0)),
            Collapse(0),
        ],
        [
            Mlock(A, FirstHalf(0)),
        ],
    ],
    pages: [
        2,
    ],
    laws: {},
    outcomes: [],
    counts: {},
)
"#;

/// No huge page is made across two areas: its mark would outlive the lock of the one.
#[test]
fn khugepaged_leaves_a_region_alone_of_which_a_part_is_locked() {
    let fixture = parse(COLLAPSED_BESIDE_A_PART, "part.ron").unwrap();
    let system = fixture.concrete(2).unwrap().judged().unwrap();
    let report = check(&system, Options::default());
    let verdict = report.laws[&Law::MunlockTakesEffect].verdict;
    assert_eq!(verdict, Verdict::Holds);
}
