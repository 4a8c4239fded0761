//! Signatures on the curve P-521, which ring does not know and the host's certificate is made with.
//!
//! Without it in the list of schemes, the host finds no scheme in common and sends no certificate at all.

use p521::ecdsa::{DerSignature, VerifyingKey, signature::Verifier};
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};

/// ECDSA on P-521 with SHA-512.
#[derive(Debug)]
pub(super) struct EcdsaP521;

impl SignatureVerificationAlgorithm for EcdsaP521 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_| InvalidSignature)?;
        let signature = DerSignature::from_bytes(signature).map_err(|_| InvalidSignature)?;
        key.verify(message, &signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P521
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA512
    }
}

#[cfg(test)]
mod tests {
    use p521::ecdsa::{SigningKey, signature::Signer};

    use super::*;

    #[test]
    fn a_signature_holds_for_its_message_and_key_alone() {
        let key = |byte: u8| {
            let mut scalar = [byte; 66];
            scalar[0] = 0;
            SigningKey::from_slice(&scalar).unwrap()
        };
        let public = |key: &SigningKey| key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
        let signer = key(7);
        let signature: DerSignature = signer.sign(b"message");
        let verify = |public: &[u8], message: &[u8], signature: &[u8]| {
            EcdsaP521.verify_signature(public, message, signature).is_ok()
        };
        assert!(verify(&public(&signer), b"message", signature.as_bytes()));
        assert!(!verify(&public(&signer), b"another", signature.as_bytes()));
        assert!(!verify(&public(&key(8)), b"message", signature.as_bytes()));
        assert!(!verify(&public(&signer), b"message", &signature.as_bytes()[1..]));
        assert!(!verify(b"no key", b"message", signature.as_bytes()));
    }
}
