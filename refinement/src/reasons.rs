//! Tables of reasons: why something that a check finds is no gap.
//!
//! Each reason covers the findings whose text fits one of its patterns; of several that cover one,
//! the first counts.
//! A pattern that covers nothing is a mistake in the table.

/// A reason, and what it covers.
#[derive(Clone, Copy, Debug)]
pub struct Reason {
    /// Texts of findings; a `*` stands for any text.
    pub covers: &'static [&'static str],
    /// Why they are no gap.
    pub because: &'static str,
}

/// A line of a table.
pub(crate) const fn reason(because: &'static str, covers: &'static [&'static str]) -> Reason {
    Reason { covers, because }
}

/// The reason for a finding, if the table has one.
pub fn why(table: &[Reason], text: &str) -> Option<&'static str> {
    let covers = |reason: &&Reason| reason.covers.iter().any(|pattern| fits(pattern, text));
    table.iter().find(covers).map(|reason| reason.because)
}

/// The patterns of a table that are the first to cover none of these findings.
pub fn unused<'t>(
    table: &[Reason],
    findings: impl IntoIterator<Item = &'t str>,
) -> Vec<&'static str> {
    let patterns = || table.iter().flat_map(|reason| reason.covers);
    let findings = findings.into_iter();
    let used: Vec<&str> = findings
        .filter_map(|text| patterns().find(|pattern| fits(pattern, text)).copied())
        .collect();
    let unused = patterns().filter(|pattern| !used.contains(pattern));
    unused.copied().collect()
}

/// Whether a text fits a pattern in which `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, mut rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    while let Some((part, more)) = rest.split_once('*') {
        let Some(at) = text.find(part) else {
            return false;
        };
        (text, rest) = (&text[at + part.len()..], more);
    }
    text.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text) in [
            ("a", "a"),
            ("*", ""),
            ("a*", "ab"),
            ("*b", "ab"),
            ("a*c*e", "abcde"),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "ab"), ("a*", "ba"), ("*b", "ba"), ("a*c*e", "abde")] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }
}
