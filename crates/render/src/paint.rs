//! Colours, on which nothing depends: every line says the same without them.

use std::fmt::Display;

use windlass_model::Sign;

/// Whether text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Paint {
    /// It is not.
    #[default]
    Plain,
    /// It is, by the escapes of ECMA-48 that every terminal knows.
    Colours,
}

impl Paint {
    /// The sign of a step.
    pub(crate) fn sign(self, sign: Sign, text: impl Display) -> String {
        match sign {
            Sign::Adds => self.with("32", text),
            Sign::Changes => self.with("33", text),
            Sign::Removes => self.with("31", text),
            Sign::Waits => self.with("2", text),
        }
    }

    /// A failure.
    pub fn bad(self, text: impl Display) -> String {
        self.with("31;1", text)
    }

    /// Emphasis.
    pub fn strong(self, text: impl Display) -> String {
        self.with("1", text)
    }

    /// A detail that may be skipped.
    pub fn faint(self, text: impl Display) -> String {
        self.with("2", text)
    }

    fn with(self, code: &str, text: impl Display) -> String {
        match self {
            Self::Plain => text.to_string(),
            Self::Colours => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}
