//! Fixtures that are none: whatever is done to the text of one, reading it never panics, and an error
//! names the file and points at a line of it.

use mlock_refinement::fixture::{Call, LoadError, Mm, files, load, parse};
use proptest::prelude::*;
use std::path::Path;

/// A fixture that uses most of the format.
const TEXT: &str = include_str!("../../fixtures/v3.9/small_pages_beside.ron");

/// What a careless editor does to a text.
#[derive(Clone, Debug)]
enum Slip {
    /// Some bytes are lost.
    Cut(usize, usize),
    /// Something is typed in between.
    Typed(usize, &'static str),
    /// Some bytes stand in another place as well.
    Copied(usize, usize, usize),
    /// A line changes places with another.
    SwappedLines(usize, usize),
    /// Every occurrence of a word becomes another.
    Renamed(usize, usize),
}

const TYPED: [&str; 16] = [
    "(",
    ")",
    "[",
    "]",
    "\"",
    ",",
    "-",
    "99999999999999999999",
    "18446744073709551615",
    "-1",
    "0",
    "\u{0}",
    "ß",
    "🦀",
    "((((((((((((((((((((((((((((((((((((((((",
    "Some(",
];
const WORDS: [&str; 14] = [
    "Thp",
    "Small(2)",
    "Region(0)",
    "Regions(0, 1)",
    "A",
    "Munlock",
    "Split(0)",
    "P - 1",
    "format",
    "laws",
    "2",
    "k",
    "Fixture",
    "Holds",
];

fn slip() -> impl Strategy<Value = Slip> {
    let at = 0..TEXT.len();
    let line = 0..TEXT.lines().count();
    prop_oneof![
        (at.clone(), 1..40usize).prop_map(|(at, len)| Slip::Cut(at, len)),
        (at.clone(), 0..TYPED.len()).prop_map(|(at, what)| Slip::Typed(at, TYPED[what])),
        (at.clone(), 1..60usize, at).prop_map(|(from, len, to)| Slip::Copied(from, len, to)),
        (line.clone(), line).prop_map(|(a, b)| Slip::SwappedLines(a, b)),
        (0..WORDS.len(), 0..WORDS.len()).prop_map(|(a, b)| Slip::Renamed(a, b)),
    ]
}

fn slipped(text: &str, slip: &Slip) -> String {
    let bytes = text.as_bytes();
    let clamp = |at: usize| at.min(bytes.len());
    let joined = |parts: &[&[u8]]| String::from_utf8_lossy(&parts.concat()).into_owned();
    match *slip {
        Slip::Cut(at, len) => joined(&[&bytes[..clamp(at)], &bytes[clamp(at + len)..]]),
        Slip::Typed(at, what) => {
            joined(&[&bytes[..clamp(at)], what.as_bytes(), &bytes[clamp(at)..]])
        }
        Slip::Copied(from, len, to) => {
            let copy = &bytes[clamp(from)..clamp(from + len)];
            joined(&[&bytes[..clamp(to)], copy, &bytes[clamp(to)..]])
        }
        Slip::SwappedLines(a, b) => {
            let mut lines: Vec<&str> = text.lines().collect();
            let last = lines.len().saturating_sub(1);
            lines.swap(a.min(last), b.min(last));
            lines.join("\n")
        }
        Slip::Renamed(a, b) => text.replace(WORDS[a], WORDS[b]),
    }
}

/// Reads a text; if it is no fixture, the error must show the file, a line and a caret.
fn is_read_or_pointed_at(text: &str) -> Result<(), String> {
    let Err(error) = parse(text, "some.ron") else {
        return Ok(());
    };
    let told = error.to_string();
    let points = told.contains("some.ron:") && told.contains('^');
    if points || text.is_empty() {
        Ok(())
    } else {
        Err(format!("points nowhere: {told}"))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn a_text_with_slips_is_read_or_pointed_at(slips in prop::collection::vec(slip(), 1..4)) {
        let text = slips.iter().fold(TEXT.to_owned(), |text, slip| slipped(&text, slip));
        prop_assert_eq!(is_read_or_pointed_at(&text), Ok(()));
    }

    #[test]
    fn any_text_at_all_is_read_or_pointed_at(text in "\\PC{0,80}") {
        prop_assert_eq!(is_read_or_pointed_at(&text), Ok(()));
    }
}

#[test]
fn numbers_far_too_large_are_pointed_at() {
    let many_regions = TEXT.replacen("Thp,", &"Thp,".repeat(600), 1);
    let many_calls = TEXT.replacen("Split(0),", &"Split(0),".repeat(3000), 1);
    let many_members = TEXT.replacen("k: (\"0\",", "k: (\"-999999999999\",", 1);
    let steep = TEXT.replacen("nr_mlock: \"", "nr_mlock: \"9223372036854775807P + ", 1);
    let backwards = TEXT.replacen("Regions(0, 1)", "Regions(1, 0)", 1);
    for text in [many_regions, many_calls, many_members, steep, backwards] {
        assert_ne!(text, TEXT);
        assert_eq!(is_read_or_pointed_at(&text), Ok(()));
        assert!(parse(&text, "some.ron").is_err());
    }
}

#[test]
fn a_deeply_nested_text_is_pointed_at() {
    for (open, close) in [("(", ")"), ("[", "]"), ("Some(", ")")] {
        let deep = format!(
            "Fixture(format: {}1{})",
            open.repeat(5_000),
            close.repeat(5_000)
        );
        assert_eq!(is_read_or_pointed_at(&deep), Ok(()));
    }
}

#[test]
fn another_encoding_is_named_with_its_place() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("encoding.ron");
    let utf16: Vec<u8> = TEXT.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let latin1 = [
        b"Fixture(format: 1, claim: \"gr\xfc\xdfe\"".as_slice(),
        b")",
    ]
    .concat();
    let marked = [b"\xef\xbb\xbf".as_slice(), TEXT.as_bytes()].concat();
    for bytes in [utf16, latin1, marked] {
        std::fs::write(&path, bytes).unwrap();
        match load(&path) {
            Ok(_) => {}
            Err(LoadError::Unreadable { error, .. }) => assert!(error.to_string().contains("byte")),
            Err(error) => assert!(error.to_string().contains("encoding.ron:"), "{error}"),
        }
    }
}

#[test]
fn every_fixture_with_a_line_missing_is_read_or_pointed_at() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/thread");
    for path in files(&folder).unwrap() {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for missing in 0..lines.len() {
            let rest = [&lines[..missing], &lines[missing + 1..]]
                .concat()
                .join("\n");
            assert_eq!(is_read_or_pointed_at(&rest), Ok(()));
        }
    }
}

#[test]
fn a_child_is_a_later_address_space_than_its_parent() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/v3.7/fork_vs_split.ron");
    let mut fixture = load(&path).unwrap();
    assert!(fixture.concrete(2).is_ok());
    fixture.memory.mms.swap(0, 1);
    for call in fixture.cpus.iter_mut().flatten() {
        if *call == Call::Fork(Mm::A, Mm::B) {
            *call = Call::Fork(Mm::B, Mm::A);
        }
    }
    let (place, wrong) = fixture.concrete(2).unwrap_err();
    assert_eq!(place, "Fork");
    assert!(wrong.contains("a later address space"), "{wrong}");
}
