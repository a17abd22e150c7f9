//! The laws as tests: each test's name is a claim, and its comment names the law.
//!
//! Random runs come from [`generate`]; `generators` shows that they are worth something.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod book;
mod effects;
mod generate;
mod generators;
mod guards;
mod pages;
mod round_trips;
mod runs;
mod sentences;

use quickcheck::{Arbitrary, QuickCheck, Testable};

/// Checks a property on many random values.
fn for_all<A: Arbitrary + std::fmt::Debug, T: Testable>(property: fn(A) -> T) {
    QuickCheck::new()
        .tests(2_000)
        .max_tests(200_000)
        .quickcheck(property);
}

/// Reads a value from its text form.
fn read<T: std::str::FromStr<Err = mlock_spec::ParseError>>(text: &str) -> T {
    text.parse().unwrap()
}
