//! How much is made of keys that nothing reads.

/// How much is made of keys that nothing reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// They are warnings, since RKE 1 ignored them.
    #[default]
    Lenient,
    /// They are errors.
    Strict,
}
