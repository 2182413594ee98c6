//! Real keys and certificates: creates the desired ones, and reads their contents.
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
