//! Seals: a signature over the journal's head, small enough to keep elsewhere.
//!
//! ```text
//!  0 magic "daybseal"  8    32 frames    8    48 content hash      32   112 public key  32
//!  8 journal id       16    40 last time 8    80 hash of the seal  32   144 signature   64 = 208
//! 24 seal number       8                      before (0: none)
//! ```
//! - Whoever kept a seal detects any change, deletion, reordering or truncation of what it covers (P7).
//! - A seal takes no seq and is outside the content chain: sealing changes no hash.
//! - The key file is 0600, made on first use; the secret never leaves it.
//! - The same key signs statements of other parts (a winner's record): under a preamble of their own, so that a statement
//!   is never a seal and a seal never a statement.
//! - Must never: print or serialise the secret key.

use crate::chain::Hash;
use crate::error::{JournalError, Result};
use crate::format::u64_at;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use std::fmt;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Bytes of a seal.
pub const SEAL_BYTES: usize = 208;
pub(crate) const SEAL_SUFFIX: &str = ".seal";
const MAGIC: &[u8; 8] = b"daybseal";
const SIGNED_BYTES: usize = SEAL_BYTES - 64;
/// Bytes of the signature of a statement.
pub const SIGNATURE_BYTES: usize = 64;
/// What a statement is signed behind. It begins unlike [`MAGIC`].
const STATEMENT: &[u8] = b"daybook statement\n";

/// A signed statement: "these frames, in this order, and no others before them".
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// The journal: its id, all zero for one without frames.
    pub journal: [u8; 16],
    /// Counted from 0 within the journal.
    pub number: u64,
    /// How many frames it covers, from the first.
    pub frames: u64,
    /// Time of the last of them, 0 where there is none.
    pub last_time: i64,
    /// Their content hash.
    pub content: Hash,
    /// blake3 of the seal before, or zeros.
    pub previous: Hash,
    /// Who signed.
    pub signer: [u8; 32],
    signature: [u8; 64],
}

impl fmt::Debug for Seal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Seal {} over {} frames, content {}", self.number, self.frames, self.content)
    }
}

impl Seal {
    /// The 208 bytes of a seal file.
    pub fn encode(&self) -> [u8; SEAL_BYTES] {
        let mut bytes = self.message();
        bytes[SIGNED_BYTES..].copy_from_slice(&self.signature);
        bytes
    }

    /// Reads a seal file; the signature is checked against the key inside.
    pub fn decode(bytes: &[u8]) -> Result<Seal> {
        let seal = Self::parse(bytes)?;
        match seal.check(&PublicKey(seal.signer)) {
            true => Ok(seal),
            false => Err(JournalError::BadSeal {
                what: "the seal".to_owned(),
                reason: "its signature does not hold".to_owned(),
            }),
        }
    }

    /// Reads the fields alone: for records under a checksum, whose signature is checked later.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Seal> {
        let bad = |reason: &str| Err(JournalError::BadSeal { what: "the seal".to_owned(), reason: reason.to_owned() });
        if bytes.len() != SEAL_BYTES || bytes[..8] != *MAGIC {
            return bad("it is not 208 bytes that begin as a seal does");
        }
        let hash = |at: usize| Hash(bytes[at..at + 32].try_into().expect("32 bytes"));
        Ok(Seal {
            journal: bytes[8..24].try_into().expect("16 bytes"),
            number: u64_at(bytes, 24),
            frames: u64_at(bytes, 32),
            last_time: u64_at(bytes, 40).cast_signed(),
            content: hash(48),
            previous: hash(80),
            signer: hash(112).0,
            signature: bytes[SIGNED_BYTES..].try_into().expect("64 bytes"),
        })
    }

    /// Whether `key` signed exactly this.
    pub fn check(&self, key: &PublicKey) -> bool {
        let Ok(verifier) = VerifyingKey::from_bytes(&key.0) else {
            return false;
        };
        let signature = Signature::from_bytes(&self.signature);
        self.signer == key.0 && verifier.verify_strict(&self.message()[..SIGNED_BYTES], &signature).is_ok()
    }

    /// The hash that the next seal names.
    pub fn hash(&self) -> Hash {
        Hash::of(&self.encode())
    }

    /// All but the signature, which is left zero.
    fn message(&self) -> [u8; SEAL_BYTES] {
        let mut bytes = [0u8; SEAL_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..24].copy_from_slice(&self.journal);
        bytes[24..32].copy_from_slice(&self.number.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.frames.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.last_time.to_le_bytes());
        bytes[48..80].copy_from_slice(&self.content.0);
        bytes[80..112].copy_from_slice(&self.previous.0);
        bytes[112..144].copy_from_slice(&self.signer);
        bytes
    }
}

/// What a seal says, before it is signed.
pub(crate) struct Claim {
    pub journal: [u8; 16],
    pub number: u64,
    pub frames: u64,
    pub last_time: i64,
    pub content: Hash,
    pub previous: Hash,
}

/// The public half: enough to check seals.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub [u8; 32]);

impl fmt::Display for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hash(self.0), out)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl PublicKey {
    /// Reads a file of 64 hexadecimal digits, as `export` writes it.
    pub fn load(path: &Path) -> Result<PublicKey> {
        let text = std::fs::read_to_string(path).map_err(JournalError::io("read", path))?;
        Self::from_hex(text.trim()).ok_or_else(|| JournalError::BadSeal {
            what: format!("the public key {}", path.display()),
            reason: "it must be one line of 64 hexadecimal digits, a point of the curve".to_owned(),
        })
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<PublicKey> {
        let key = Hash::from_hex(text)?.0;
        VerifyingKey::from_bytes(&key).ok().map(|_| PublicKey(key))
    }

    /// Whether this key signed exactly this statement.
    pub fn signed(&self, statement: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        let Ok(verifier) = VerifyingKey::from_bytes(&self.0) else { return false };
        verifier.verify_strict(&[STATEMENT, statement].concat(), &Signature::from_bytes(signature)).is_ok()
    }

    /// Writes the file that `load` reads.
    pub fn export(&self, path: &Path) -> Result<()> {
        std::fs::write(path, format!("{self}\n")).map_err(JournalError::io("write", path))
    }
}

/// The secret half.
pub struct SealKey(SigningKey);

impl fmt::Debug for SealKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SealKey of {}", self.public())
    }
}

impl SealKey {
    /// Reads the key at `path`, or makes one there (mode 0600, its directory included) on first use.
    /// A key that others can read is refused.
    pub fn load_or_create(path: &Path) -> Result<SealKey> {
        let key = match std::fs::File::open(path) {
            Ok(file) => Self::load(file, path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::create(path),
            Err(error) => Err(JournalError::io("read", path)(error)),
        }?;
        // The public half lies beside it, to be handed out; it can be written again at any time.
        let public = path.with_extension("pub");
        if !public.exists() {
            key.public().export(&public)?;
        }
        Ok(key)
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a statement that is no seal; it should begin with what it is a statement of.
    pub fn sign_statement(&self, statement: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(&[STATEMENT, statement].concat()).to_bytes()
    }

    pub(crate) fn sign(&self, claim: &Claim) -> Seal {
        let mut seal = Seal {
            journal: claim.journal,
            number: claim.number,
            frames: claim.frames,
            last_time: claim.last_time,
            content: claim.content,
            previous: claim.previous,
            signer: self.public().0,
            signature: [0; 64],
        };
        seal.signature = self.0.sign(&seal.message()[..SIGNED_BYTES]).to_bytes();
        assert!(seal.check(&self.public()), "a seal is checked before it is kept");
        seal
    }

    fn load(mut file: std::fs::File, path: &Path) -> Result<SealKey> {
        let bad = |reason: String| JournalError::BadSeal { what: format!("the seal key {}", path.display()), reason };
        let metadata = file.metadata().map_err(JournalError::io("read", path))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(bad(format!("others may read it (mode {mode:o}); chmod 600 it")));
        }
        let mut secret = Vec::new();
        file.read_to_end(&mut secret).map_err(JournalError::io("read", path))?;
        let secret: [u8; 32] = secret
            .try_into()
            .map_err(|_| bad("it must be 32 bytes; move it away to have a new one made".to_owned()))?;
        Ok(SealKey(SigningKey::from_bytes(&secret)))
    }

    fn create(path: &Path) -> Result<SealKey> {
        let mut secret = [0u8; 32];
        getrandom::fill(&mut secret).map_err(|error| JournalError::io("make", path)(std::io::Error::other(error)))?;
        let dir = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(dir).map_err(JournalError::io("create", dir))?;
        // Under a name of its own first: a crash leaves no half a key, and of two that begin together one key stays.
        let number = getrandom::u64().map_err(|error| JournalError::io("make", path)(std::io::Error::other(error)))?;
        let temporary = path.with_extension(format!("{number:016x}.new"));
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(JournalError::io("create", &temporary))?;
        file.write_all(&secret).and_then(|()| file.sync_all()).map_err(JournalError::io("write", &temporary))?;
        match std::fs::hard_link(&temporary, path) {
            Ok(()) => drop(std::fs::remove_file(&temporary)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                // Another process was first: its key is the key.
                let _ = std::fs::remove_file(&temporary);
                let file = std::fs::File::open(path).map_err(JournalError::io("read", path))?;
                return Self::load(file, path);
            }
            // A file system without links.
            Err(_) => std::fs::rename(&temporary, path).map_err(JournalError::io("rename", &temporary))?,
        }
        Ok(SealKey(SigningKey::from_bytes(&secret)))
    }
}
