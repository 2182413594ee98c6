//! Why a key or certificate can be neither created nor read. No message contains key material.

/// Why a key or certificate can be neither created nor read.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The desired state names an issuer that was not given.
    #[error("its issuer `{issuer}` is missing")]
    IssuerMissing {
        /// The issuer.
        issuer: String,
    },
    /// A certificate that is not a CA's cannot sign.
    #[error("`{issuer}` is not a CA")]
    NoAuthority {
        /// The issuer.
        issuer: String,
    },
    /// The issuer has expired: nobody accepts what it signs.
    #[error("its issuer `{issuer}` ended {ended}")]
    IssuerExpired {
        /// The issuer.
        issuer: String,
        /// When it ended.
        ended: windlass_model::Timestamp,
    },
    /// The issuer's key belongs to another certificate: what it signs could not be verified with the issuer's
    /// certificate.
    #[error("the key of its issuer `{issuer}` does not fit the issuer's certificate")]
    IssuerKeyDiffers {
        /// The issuer.
        issuer: String,
    },
    /// The desired state has a form that no cluster has.
    #[error("{what}")]
    Unfit {
        /// What is wrong with it.
        what: String,
    },
    /// The text is not a certificate in PEM.
    #[error("this is no certificate in PEM")]
    NotACertificate,
    /// The text is not a private key in PEM of a kind that can be read.
    #[error("this is no private key in PEM that can be read")]
    NotAKey,
    /// The certificate's names or usages are malformed.
    #[error("the certificate's {part} cannot be read")]
    Malformed {
        /// The part.
        part: &'static str,
    },
    /// The system gives no randomness.
    #[error("the system gives no random bytes")]
    NoRandomness,
    /// The certificate cannot be created.
    #[error("it cannot be made")]
    NotMade(#[source] rcgen::Error),
}
