//! Texts with places in them that something else fills in.

/// What to do about a template that nobody has filled in.
pub(crate) const NO_VARIABLES: &str = "windlass fills in no variables: write the value itself";

/// Whether a text has a place in it that something else fills in: `${NAME}`, `$NAME` alone, `{{ … }}`.
pub(crate) fn is_template(text: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.:-".contains(letter))
    };
    let braced = text
        .match_indices("${")
        .any(|(at, _)| text[at + 2..].split_once('}').is_some_and(|(name, _)| is_name(name)));
    let alone = text.strip_prefix('$').is_some_and(|name| {
        is_name(name)
            && name
                .chars()
                .all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_')
    });
    let doubled = text.find("{{").is_some_and(|at| text[at..].contains("}}"));
    braced || alone || doubled
}
