//! Plain tables: columns as wide as their widest cell.

use mlock_spec::Law;

/// Headings for the laws, in their order.
pub const LAWS: [&str; Law::ALL.len()] = [
    "Account", "Split", "Munlock", "Mlock", "Others", "Progress", "Order", "NoBug",
];

/// Rows of cells under a heading, two spaces between columns.
pub fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let columns = heading.len();
    let width = |c: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(c))
            .map(|cell| cell.chars().count());
        cells.chain([heading[c].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells
            .zip(&widths)
            .map(|(cell, &width)| format!("{cell:width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned() + "\n"
    };
    let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
    let mut out = line(&mut heading.iter().copied());
    out += &line(&mut rule.iter().map(String::as_str));
    for row in rows {
        out += &line(&mut row.iter().map(String::as_str));
    }
    out
}
