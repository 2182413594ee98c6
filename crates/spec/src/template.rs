//! Texts with places in them that something else fills in.

/// What to do about a template that nobody has filled in.
pub(crate) const NO_VARIABLES: &str = "windlass fills in no variables: write the value itself";

/// The signs that every template has one of.
const SIGNS: [char; 7] = ['$', '{', '<', '%', '[', '@', '_'];

/// What people write for a value that is to follow.
const TO_FOLLOW: [&str; 8] =
    ["CHANGEME", "CHANGE_ME", "CHANGE-ME", "REPLACEME", "REPLACE_ME", "REPLACE-ME", "TODO", "FIXME"];

/// Whether a text has a place in it that something else fills in: `${NAME}`, `$(name)`, `{{ … }}`, `{% … %}`; or is one
/// as a whole: `$NAME`, `$NAME/path`, `<name>`, `%NAME%`, `@NAME@`, `__NAME__`, `CHANGEME`.
pub(crate) fn is_template(text: &str) -> bool {
    if TO_FOLLOW.iter().any(|word| word.eq_ignore_ascii_case(text)) {
        return true;
    }
    if !text.contains(SIGNS) {
        return false;
    }
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.:-".contains(letter))
    };
    let is_loud = |name: &str| {
        is_name(name)
            && name
                .chars()
                .all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_')
    };
    let within = |open: &str, close: &str, is_it: &dyn Fn(&str) -> bool| {
        text.match_indices(open)
            .any(|(at, _)| text[at + open.len()..].split_once(close).is_some_and(|(name, _)| is_it(name)))
    };
    // A variable's value may be one, as in `NAME=$VALUE`.
    let value = text.split_once('=').filter(|(name, _)| is_loud(name)).map_or(text, |(_, value)| value);
    let enclosed = |sign: &str| value.strip_prefix(sign).and_then(|rest| rest.strip_suffix(sign));
    let is_angled = |text: &str| {
        let name = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
        name.is_some_and(|name| is_name(&name.replace([' ', '/'], "-")))
    };
    within("${", "}", &is_name)
        || within("$(", ")", &is_name)
        || within("{{", "}}", &|_| true)
        || within("{%", "%}", &|_| true)
        || within("<%", "%>", &|_| true)
        || within("[[ ", " ]]", &|_| true)
        || within("#{", "}", &is_name)
        || within("$ENV{", "}", &is_name)
        // `$HOME/.ssh/id_rsa` too: no shell reads the file.
        || value.strip_prefix('$').is_some_and(|rest| is_loud(rest.split('/').next().unwrap_or(rest)))
        || enclosed("@").is_some_and(is_loud)
        || enclosed("__").is_some_and(is_loud)
        || value.strip_prefix('%').and_then(|rest| rest.strip_suffix('%')).is_some_and(is_loud)
        || is_angled(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_filled_in_is_seen() {
        for template in [
            "${NAME}",
            "a-${name}-b",
            "$(hostname)",
            "x$(NAME)",
            "$NAME",
            "A=$B",
            "HTTP_PROXY=<proxy url>",
            "<%= name %>",
            "[[ name ]]",
            "#{name}",
            "$ENV{NAME}",
            "changeme",
            "REPLACE_ME",
            "{{ name }}",
            "{% if x %}",
            "%NAME%",
            "$HOME/.ssh/id_rsa",
            "@NAME@",
            "__NAME__",
            "<name>",
            "<your password>",
            "<IP/name>",
        ] {
            assert!(is_template(template), "{template}");
        }
        for plain in [
            "",
            "p$w",
            "$1$abc",
            "100%",
            "a<b>c",
            "5%d%6",
            "memory.available<500Mi",
            "$remote_addr",
            "a@b",
            "@",
            "@name@",
            "____",
            "__init__",
            "$1/a",
            "<>",
            "{x}",
            "a=b",
            "%%",
            "cost: 5$",
            "$(",
        ] {
            assert!(!is_template(plain), "{plain}");
        }
    }
}
