//! Keys and certificates for real: makes them by their wishes, and reads what is in one.
//!
//! ```text
//! CertWish ─┐
//!           ├─▶ X509Minter ─▶ StoredCert (PEM)        CertificateFacts ◀─ PEM
//! issuer  ──┘                                          fits, is_signed_by
//! ```

mod error;
mod facts;
mod mint;

pub use error::PkiError;
pub use facts::{CertificateFacts, fits, is_signed_by};
pub use mint::X509Minter;
