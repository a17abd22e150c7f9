//! What README.md shows is what the program prints: every `console` block is run.
//!
//! `INSTA_UPDATE=always` writes what the program prints into README.md, as it does for snapshots.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::Command;

const OPEN: &str = "```console\n$ mlockcheck ";

/// What `mlockcheck` prints, without colour and without blank lines at the end.
fn printed(root: &Path, args: &str) -> String {
    // This one takes long, and is under snapshot, which may have changed since this was compiled:
    // the matrix is its first paragraph.
    if args == "guarantees --brief" {
        let snapshot = root.join("refinement/tests/snapshots/guarantees.snap");
        let text = std::fs::read_to_string(snapshot).unwrap();
        let (_, all) = text.split_once("\n---\n").unwrap();
        return all.split("\n\n").next().unwrap().to_owned();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_mlockcheck"))
        .args(args.split_whitespace())
        .current_dir(root)
        .output()
        .unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

/// The text with what each of its blocks' commands prints.
fn rerun(root: &Path, text: &str) -> String {
    let mut parts = text.split(OPEN);
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let (args, rest) = part.split_once('\n').unwrap();
        let (_, after) = rest.split_once("\n```").unwrap();
        out += &format!("{OPEN}{args}\n{}\n```{after}", printed(root, args));
    }
    out
}

#[test]
fn readme_shows_what_the_program_prints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join("README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.matches(OPEN).count() >= 2,
        "README.md shows no commands"
    );
    let fresh = rerun(&root, &text);
    if std::env::var("INSTA_UPDATE").as_deref() == Ok("always") {
        return std::fs::write(&path, fresh).unwrap();
    }
    assert!(text == fresh, "README.md is out of date: see `make review`");
}
