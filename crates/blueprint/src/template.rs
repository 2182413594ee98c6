//! Texts of the catalog with places for values.

use serde::{Deserialize, Deserializer};

/// A text in which `${name}` stands for a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(String),
}

impl Template {
    /// The names of the values, as often as they stand in the text.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Value(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The text with its values; none if one of them is absent.
    pub(crate) fn fill<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
        let mut filled = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Value(name) => filled.push_str(value(name)?),
            }
        }
        Some(filled)
    }

    /// The template with the values that there are, the others left open.
    pub(crate) fn with<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> Self {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Value(name) => {
                value(name).map_or_else(|| piece.clone(), |text| Piece::Text(text.to_owned()))
            }
            Piece::Text(_) => piece.clone(),
        });
        Self { pieces: pieces.collect() }
    }

    /// The flag's name with its dashes: what stands before the first `=`, or all of it.
    pub(crate) fn flag(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Text(text)) => text.split_once('=').map_or(text, |(flag, _)| flag),
            Some(Piece::Value(_)) | None => "",
        }
    }
}

impl From<&str> for Template {
    fn from(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, (name, after))) =
            rest.split_once("${").and_then(|(before, after)| Some((before, after.split_once('}')?)))
        {
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Value(name.to_owned()));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Self { pieces }
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(String::deserialize(deserializer)?.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_whole_or_not_at_all() {
        let template = Template::from("--urls=https://${host}:2379,https://${other}:2379");
        assert_eq!(template.flag(), "--urls");
        assert_eq!(template.names().collect::<Vec<_>>(), ["host", "other"]);
        let both = |name: &str| Some(if name == "host" { "a" } else { "b" });
        assert_eq!(template.fill(both).as_deref(), Some("--urls=https://a:2379,https://b:2379"));
        assert_eq!(template.fill(|name| (name == "host").then_some("a")), None);
    }
}
