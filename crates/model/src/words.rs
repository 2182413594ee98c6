//! Numbers and lists of names as people read them.

use std::fmt::Display;

/// `1 node`, `2 nodes`: for words whose plural has an `s`.
pub fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// The first names of a list, and how many more there are: `a, b and 3 more`.
pub fn row_of<T: Display>(names: impl IntoIterator<Item = T>, shown: usize) -> String {
    let mut names = names.into_iter();
    let first: Vec<String> = names.by_ref().take(shown).map(|name| name.to_string()).collect();
    match names.count() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// The first of many names: `a, b, c, d and 3 more`.
pub(crate) fn named<T: Display>(names: &[T]) -> String {
    row_of(names, 4)
}

/// A list of names: `a`, `a and b`, `a, b and c`.
pub(crate) fn row<T: Display>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_names_the_first_and_counts_the_rest() {
        assert_eq!(row_of([0; 0], 2), "");
        assert_eq!(row_of([1, 2], 2), "1, 2");
        assert_eq!(row_of([1, 2, 3, 4], 2), "1, 2 and 2 more");
        assert_eq!((counted(1, "node"), counted(0, "node")), ("1 node".to_owned(), "0 nodes".to_owned()));
    }

    #[test]
    fn names_stand_in_a_row() {
        assert_eq!(row(["a", "b", "c"]), "a, b and c");
    }
}
