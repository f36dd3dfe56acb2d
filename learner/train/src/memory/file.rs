//! A memory as a file, so that a later phase need not fold it again.
//!
//! ```text
//! daybook-memory-1 ⏎  key (64 digits) ⏎  blake3 of what follows (64 digits) ⏎  the memory, as plain data
//! ```
//!
//! - The key names all that the memory is a function of (journals, range, settings, policy, binary): whoever asks gives
//!   the key that it wants, and gets a memory of it or none.
//! - It can be made again at any time: a file of another key, or a damaged one, is no error but a reason to fold anew.
//! - Written to a sibling and renamed: a crash leaves the old file or the new one.
//! - Must never: hand out a memory that was changed, or whose parts do not fit each other.

use super::store::Memory;
use daybook_inference::ModelError;
use daybook_inference::tensors::write_whole;
use std::path::Path;

const FORMAT: &str = "daybook-memory-1";
/// Format, key and hash, each with its line end.
const HEAD: usize = FORMAT.len() + 1 + 2 * 65;

/// What lies under a name.
#[derive(Debug)]
pub enum Stored {
    /// The memory that was asked for.
    Whole(Box<Memory>),
    /// Nothing.
    Absent,
    /// A memory of another key.
    Other,
    /// Something that is no memory, and why.
    Damaged(String),
}

impl Memory {
    /// Writes it under a key of 64 hexadecimal digits.
    pub fn write(&self, path: &Path, key: &str) -> Result<(), ModelError> {
        assert!(key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()), "a key is a hash");
        let data = postcard::to_allocvec(self).expect("a memory is plain data");
        let mut bytes = format!("{FORMAT}\n{key}\n{}\n", blake3::hash(&data).to_hex()).into_bytes();
        bytes.extend_from_slice(&data);
        write_whole(path, &bytes)
    }

    /// The memory of a key, if that is what lies there.
    pub fn stored(path: &Path, key: &str) -> Stored {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Stored::Absent,
            Err(error) => return Stored::Damaged(error.to_string()),
        };
        let Some((head, data)) = bytes.split_at_checked(HEAD) else {
            return Stored::Damaged(format!("it has {} bytes", bytes.len()));
        };
        let mut lines = std::str::from_utf8(head).unwrap_or_default().lines();
        let (Some(FORMAT), Some(of), Some(hash)) = (lines.next(), lines.next(), lines.next()) else {
            return Stored::Damaged("it does not begin as a memory does".to_owned());
        };
        if hash != blake3::hash(data).to_hex().as_str() {
            return Stored::Damaged("its hash is not that of its content".to_owned());
        }
        if of != key {
            return Stored::Other;
        }
        match postcard::from_bytes::<Self>(data) {
            Ok(memory) if memory.is_sound() => Stored::Whole(Box::new(memory)),
            Ok(_) => Stored::Damaged("its parts do not fit each other".to_owned()),
            Err(error) => Stored::Damaged(error.to_string()),
        }
    }
}
