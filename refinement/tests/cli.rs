//! The program as its users meet it: tables, help, errors, exit codes, saved counterexamples.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::{Command, Output};

fn mlockcheck(args: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    Command::new(env!("CARGO_BIN_EXE_mlockcheck"))
        .args(args)
        .current_dir(root)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn snapshot(name: &str, text: String) {
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!(name, text);
    });
}

/// A file of its own for a test, under the build directory.
fn scratch(name: &str) -> String {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(name)
        .to_string_lossy()
        .into_owned()
}

#[test]
fn check_prints_the_verdicts_of_a_folder() {
    let output = mlockcheck(&["check", "v3.14", "--format", "plain"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    snapshot("check", stdout(&output));
}

#[test]
fn pin_keeps_apart_what_is_called_alike_in_two_folders() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let copies = ["v3.7", "v3.14"].map(|kernel| {
        let folder = scratch(&format!("pinned-{kernel}"));
        std::fs::create_dir_all(&folder).unwrap();
        let text = std::fs::read_to_string(root.join(kernel).join("munlock_vs_split.ron"));
        let file = Path::new(&folder).join("munlock_vs_split.ron");
        std::fs::write(&file, text.as_ref().unwrap()).unwrap();
        (folder, file, text.unwrap())
    });
    let [(a, ..), (b, ..)] = &copies;
    let output = mlockcheck(&["pin", a, b, "--pages", "4"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for (_, file, text) in &copies {
        assert_eq!(&std::fs::read_to_string(file).unwrap(), text);
    }
}

#[test]
fn the_fixtures_and_the_bugs_they_stand_for_are_as_reviewed() {
    snapshot("list", stdout(&mlockcheck(&["list"])));
}

#[test]
fn guarantees_puts_the_verdicts_of_a_kernel_together() {
    let output = mlockcheck(&["guarantees", "--kernel", "v3.9", "--format", "plain"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    snapshot("guarantees_of_one_kernel", stdout(&output));
}

#[test]
fn every_guard_of_the_specification_makes_a_difference_or_there_is_a_reason() {
    let output = mlockcheck(&["mutants", "--spec"]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    snapshot("mutants_of_the_specification", stdout(&output));
}

#[test]
fn the_costs_reproduce_the_headline_of_the_thread() {
    let output = stdout(&mlockcheck(&["costs"]));
    for (kernel, count) in [("v3.7", "512"), ("v3.9", "1")] {
        for call in ["mlock", "munlock"] {
            let row = output
                .lines()
                .map(|l| l.split_whitespace().collect::<Vec<_>>())
                .find(|row| {
                    row.first() == Some(&kernel)
                        && row.get(1) == Some(&call)
                        && row.contains(&"THP")
                });
            // kernel, call, "one THP", mmap_sem, page lock, anon_vma lock, page_table_lock
            assert_eq!(row.unwrap()[7], count, "{kernel} {call}");
        }
    }
    snapshot("costs", output);
}

#[test]
fn help_is_as_reviewed() {
    let commands = [
        "check",
        "explain",
        "outcomes",
        "replay",
        "list",
        "guarantees",
        "costs",
        "mutants",
        "sample",
        "pin",
    ];
    let mut text = stdout(&mlockcheck(&["--help"]));
    for command in commands {
        text += &format!("\n$ mlockcheck {command} --help\n");
        text += &stdout(&mlockcheck(&[command, "--help"]));
    }
    snapshot("help", text);
}

#[test]
fn outcomes_of_the_race_are_those_of_the_design() {
    let sets = |kernel: &str| {
        let args = [
            "outcomes",
            "munlock_vs_split",
            "--kernel",
            kernel,
            "--pages",
            "4",
        ];
        let output = mlockcheck(&[&args[..], &["--format", "json"]].concat());
        let doc: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert_eq!(doc["coverage"], "exhaustive");
        let pair = |o: &serde_json::Value| (o["nr_mlock"].as_i64(), o["mlocked"].as_i64());
        let mut out: Vec<(i64, i64)> = Vec::new();
        for outcome in doc["outcomes"].as_array().unwrap() {
            let (nr, mlocked) = pair(outcome);
            out.push((nr.unwrap(), mlocked.unwrap()));
        }
        out
    };
    let v3_7: Vec<(i64, i64)> = (-3..=3).map(|nr| (nr, 0)).collect();
    assert_eq!(sets("v3.7"), v3_7);
    assert_eq!(
        sets("v3.9"),
        [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (2, 0), (3, 0)]
    );
    assert_eq!(sets("v3.14"), [(0, 0)]);
    assert_eq!(sets("v4.4"), [(0, 0), (1 << 32, 0)]);
}

#[test]
fn a_saved_counterexample_reproduces_and_a_changed_one_diverges() {
    let file = scratch("saved.ron");
    let saved = mlockcheck(&[
        "explain",
        "v3.9/munlock_vs_split",
        "--law",
        "AccountExactly",
        "--save",
        &file,
    ]);
    assert_eq!(saved.status.code(), Some(0), "{}", stderr(&saved));
    let again = mlockcheck(&["replay", &file]);
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    assert!(stdout(&again).starts_with("reproduces: AccountExactly breaks at step 28"));

    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        text.replace("kernel: \"v3.9\"", "kernel: \"fix-lru-lock\""),
    )
    .unwrap();
    let fixed = mlockcheck(&["replay", &file]);
    assert_eq!(fixed.status.code(), Some(1));
    assert!(
        stdout(&fixed).starts_with("diverges at step "),
        "{}",
        stdout(&fixed)
    );
    assert!(
        stdout(&fixed).contains("(enabled were CPU1 "),
        "{}",
        stdout(&fixed)
    );
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let code = |args: &[&str]| mlockcheck(args).status.code();
    assert_eq!(code(&["check", "v3.14/munlock_vs_split"]), Some(0));
    assert_eq!(code(&["check", "--kernel", "v9.9"]), Some(2));
    assert_eq!(
        code(&["check", "v3.14/munlock_vs_split", "--pages", "3"]),
        Some(2)
    );
    assert_eq!(code(&["frobnicate"]), Some(2));
    assert_eq!(code(&["check", "no/such_fixture"]), Some(4));
    assert_eq!(code(&["replay", "no/such/file.ron"]), Some(3));
}

#[test]
fn a_verdict_that_is_not_as_expected_is_an_error() {
    let file = scratch("wrong.ron");
    let good = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/v3.9/munlock_vs_split.ron"),
    );
    let wrong = good
        .unwrap()
        .replace("kernel: \"v3.9\"", "kernel: \"v3.14\"");
    std::fs::write(&file, wrong).unwrap();
    let output = mlockcheck(&["check", &file, "--pages", "4"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(
        text.contains("AccountExactly: expected violated, found holds"),
        "{text}"
    );
    assert!(
        text.contains("expected outcome never reached: nr_mlock 3, mlocked 0"),
        "{text}"
    );
    assert!(
        text.trim_end().ends_with("--pages 4"),
        "the last line repeats the run: {text}"
    );
}

#[test]
fn a_bad_fixture_points_at_the_place_and_names_the_choices() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/v3.9/munlock_vs_split.ron");
    let good = std::fs::read_to_string(path).unwrap();
    let mut text = String::new();
    for (what, from, to) in [
        ("an unknown kernel", "kernel: \"v3.9\"", "kernel: \"v3.8\""),
        ("an unknown region", "Thp,", "Tph,"),
        ("an unknown field", "format: 1", "fromat: 1"),
        ("a wrong format", "format: 1", "format: 7"),
        (
            "a size that is no power of two",
            "        16,\n",
            "        17,\n",
        ),
        ("a region that does not exist", "Split(0)", "Split(3)"),
        ("a huge page that moves", "Split(0)", "Migrate(Region(0))"),
        ("a copy to nowhere", "Split(0)", "Write(A, Region(0))"),
        (
            "a fault of what was unmapped",
            "Split(0)",
            "Munmap(A, Region(0)), Fault(A, Region(0))",
        ),
        ("spare frames for nothing", "Thp,", "Thp, Spare(3),"),
        (
            "a page vector of a CPU that does not exist",
            "            Region(0),\n        ],\n    ),\n    cpus",
            "            Region(0),\n        ],\n        lru_add: [(7, Region(0))],\n    ),\n    cpus",
        ),
        (
            "a huge page on its way to a list",
            "            Region(0),\n        ],\n    ),\n    cpus",
            "            Region(0),\n        ],\n        lru_add: [(1, Region(0))],\n    ),\n    cpus",
        ),
        ("an unknown bug", "\"F5\"", "\"F99\""),
        ("an mm that does not exist", "Munlock(A", "Munlock(C"),
        ("a formula that is none", "\"P - 1\"", "\"P - Q\""),
        (
            "memory that breaks a law",
            "mlocked: [\n            Region(0),\n        ]",
            "mlocked: []",
        ),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{what}: the replacement does not apply");
        let file = scratch("bad.ron");
        std::fs::write(&file, bad).unwrap();
        let output = mlockcheck(&["check", &file]);
        assert_eq!(output.status.code(), Some(3), "{what}: {}", stderr(&output));
        text += &format!("# {what}\n{}\n", stderr(&output).replace(&file, "bad.ron"));
    }
    snapshot("bad_fixtures", text);
}
