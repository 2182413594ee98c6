//! Keys and certificates for real: makes them as they are desired, and reads what is in one.
//!
//! ```text
//! DesiredCert ─┐
//!              ├─▶ X509Minter ─▶ StoredCert (PEM)        CertificateFacts ◀─ PEM
//! issuer  ─────┘                                          fits, is_signed_by
//! ```

mod error;
mod facts;
mod mint;

pub use error::PkiError;
pub use facts::{CertificateFacts, fits, is_signed_by};
pub use mint::X509Minter;
