//! Checksums: SHA-256 over plainly joined texts, in lower-case hexadecimal.
//!
//! - Compared in constant time: a checksum is a proof of knowing the secret.

use sha2::{Digest, Sha256};

/// The checksum of a token exchange: of the key, the request token and the secret.
///
/// ```
/// # use daybook_adapters::kite_wire::sign::checksum;
/// let sum = checksum(&["sim_api_key", "reqtoken123", "sim_api_secret"]);
/// assert_eq!(sum, "e09a6bcd8b8aee32ed2560e95ffb8c97275bcf6be1789fbe2abffb9d29606926");
/// // A postback: order id, its time as it is written, secret.
/// let sum = checksum(&["220303000308932", "2022-03-03 09:24:25", "sim_api_secret"]);
/// assert_eq!(sum, "de358e14ca96db869e0f14fc2c2041f0169776cbf4339ce60846dbb4b62d41dd");
/// ```
pub fn checksum(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Are both the same? Takes as long whatever the first difference.
pub fn same(one: &str, other: &str) -> bool {
    let difference = one.bytes().zip(other.bytes()).fold(0, |found, (one, other)| found | (one ^ other));
    one.len() == other.len() && difference == 0
}
