//! `RUN/manifest.json`: the blake3 and size of every other file of a run, the journals it read, and its own hash.
//!
//! - Every flipped bit, in the manifest or in a listed file, a file that is missing and a file that was added are
//!   found and named. `cache/` and `lock`, of the run and of its journal, may come and go.
//! - Of a run whose journal was archived the frames are elsewhere; all other files are checked the same.
//! - The manifest has one spelling: text that reads the same but is written differently is found too.
//! - Paths are relative to the run, with `/`; nothing in it depends on where the run lies, but where its inputs are.
//! - Never follows a link: what a link points at is not part of the run.

use daybook_features::columns::{ColumnError, HashedFile, Written, hash_of_file};
use daybook_journal::leaves_when_archived;
use daybook_vocabulary::Hash;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use thiserror::Error;

/// Its name in the run.
pub const MANIFEST: &str = "manifest.json";

/// What an archived journal leaves in its place, beside its seals.
const STUB: &str = "journal/archived";

/// Version of the manifest's own format.
const VERSION: u32 = 1;

/// What `manifest.json` says.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this format.
    pub version: u32,
    /// The journals the run read, by rank.
    pub inputs: Vec<InputPath>,
    /// Every other file, in order of path.
    pub files: Vec<FileEntry>,
    /// blake3 of this document as it is written without this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Hash>,
}

/// Where an input journal was.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputPath {
    /// Its rank in the session's header.
    pub rank: u32,
    /// Its identity.
    pub id: String,
    /// Its directory, relative to the run.
    pub path: String,
}

/// A file of the run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its path, relative to the run.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its blake3.
    pub blake3: Hash,
}

/// A file that is not as the manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}: {reason}")]
pub struct ManifestFault {
    /// The file, relative to the run.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Why there is no manifest.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// A file was not read or not written.
    #[error(transparent)]
    File(#[from] ColumnError),
    /// Something in the run that a manifest cannot list.
    #[error("{0}; remove it from the run and write the manifest again")]
    Foreign(ManifestFault),
    /// The way to an input journal cannot be written down.
    #[error("{path}: the path from the run to this journal {reason}; move the journal or the run")]
    Input {
        /// The journal.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl Manifest {
    /// Hashes every file of `run` and writes its manifest, whole or not at all. `inputs` are rank, id and directory
    /// of each journal the session read.
    pub fn write(run: &Path, inputs: &[(u32, String, PathBuf)]) -> Result<(Self, Written), ManifestError> {
        let inputs = inputs
            .iter()
            .map(|(rank, id, path)| Ok(InputPath { rank: *rank, id: id.clone(), path: relative(run, path)? }));
        let inputs = inputs.collect::<Result<Vec<_>, ManifestError>>()?;
        let mut files = Vec::new();
        for (path, place) in list(run).map_err(ManifestError::Foreign)? {
            let (blake3, bytes) = hash_of_file(&place)?;
            files.push(FileEntry { path, bytes, blake3 });
        }
        let mut manifest = Self { version: VERSION, inputs, files, manifest: None };
        manifest.manifest = Some(manifest.own_hash());
        let written = HashedFile::write_whole(&run.join(MANIFEST), manifest.to_json().as_bytes())?;
        Ok((manifest, written))
    }

    /// Reads the manifest of `run` and checks that it is intact. Looks at no other file.
    pub fn read(run: &Path) -> Result<Self, ManifestFault> {
        let fault = |reason: String| ManifestFault { file: MANIFEST.to_owned(), reason };
        let content = std::fs::read(run.join(MANIFEST)).map_err(|error| fault(error.to_string()))?;
        let manifest: Self =
            serde_json::from_slice(&content).map_err(|error| fault(format!("not a manifest: {error}")))?;
        if manifest.version != VERSION {
            let version = manifest.version;
            return Err(fault(format!(
                "is of version {version}, this daybook reads version {VERSION}; upgrade daybook"
            )));
        }
        if manifest.to_json().as_bytes() != content {
            return Err(fault("its text is not as it was written, though it may read the same".to_owned()));
        }
        let expected = manifest.own_hash();
        match manifest.manifest {
            Some(recorded) if recorded == expected => Ok(manifest),
            Some(recorded) => Err(fault(format!("its own blake3 is {expected}, but it says {recorded}"))),
            None => Err(fault("its own hash is missing".to_owned())),
        }
    }

    /// Checks the manifest of `run` and every file it lists; the first fault, in order of path.
    pub fn verify(run: &Path) -> Result<Self, ManifestFault> {
        Self::check(run, false)
    }

    /// The same of a run whose journal was archived, as its stub says: the journal's seals and all other files are as
    /// they were listed. What left with the frames is not missed; that the stub's head is what the seals cover is for
    /// the journal's own `verify` to say.
    pub fn verify_archived(run: &Path) -> Result<Self, ManifestFault> {
        Self::check(run, true)
    }

    fn check(run: &Path, archived: bool) -> Result<Self, ManifestFault> {
        let manifest = Self::read(run)?;
        let mut present = list(run)?;
        let left = |path: &str| archived && path.strip_prefix("journal/").is_some_and(leaves_when_archived);
        if archived {
            present.remove(STUB);
        }
        for entry in &manifest.files {
            let fault = |reason: String| ManifestFault { file: entry.path.clone(), reason };
            if left(&entry.path) && !present.contains_key(&entry.path) {
                continue;
            }
            let place = present.remove(&entry.path).ok_or_else(|| fault("is missing".to_owned()))?;
            let (found, bytes) = hash_of_file(&place).map_err(|error| fault(error.to_string()))?;
            if bytes != entry.bytes {
                return Err(fault(format!("has {bytes} bytes, the manifest says {}", entry.bytes)));
            }
            if found != entry.blake3 {
                return Err(fault(format!("its blake3 is {found}, the manifest says {}", entry.blake3)));
            }
        }
        match present.into_keys().next() {
            None => Ok(manifest),
            Some(file) => Err(ManifestFault { file, reason: "is not in the manifest".to_owned() }),
        }
    }

    fn own_hash(&self) -> Hash {
        let without = Self { manifest: None, ..self.clone() };
        Hash(*blake3::hash(without.to_json().as_bytes()).as_bytes())
    }

    fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a manifest is plain data");
        text.push('\n');
        text
    }
}

/// Every file of the run that a manifest lists, by its path with `/`.
fn list(run: &Path) -> Result<BTreeMap<String, PathBuf>, ManifestFault> {
    let mut files = BTreeMap::new();
    let mut folders = vec![(String::new(), run.to_owned())];
    while let Some((prefix, folder)) = folders.pop() {
        let failed = |error: std::io::Error| ManifestFault {
            file: if prefix.is_empty() { ".".to_owned() } else { prefix.clone() },
            reason: error.to_string(),
        };
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            let lossy = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                return Err(ManifestFault { file: lossy, reason: "its name is not UTF-8".to_owned() });
            };
            if may_come_and_go(&prefix, &name, kind.is_dir()) {
                continue;
            }
            if kind.is_dir() {
                folders.push((format!("{lossy}/"), entry.path()));
            } else if kind.is_file() {
                files.insert(lossy, entry.path());
            } else {
                return Err(ManifestFault { file: lossy, reason: "is neither a file nor a folder".to_owned() });
            }
        }
    }
    Ok(files)
}

/// The cache and the lock of the run and of the journal in it, and the manifest itself.
fn may_come_and_go(prefix: &str, name: &str, is_folder: bool) -> bool {
    match (prefix, name) {
        ("" | "journal/", "cache") => is_folder,
        ("" | "journal/", "lock") => !is_folder,
        ("", MANIFEST | ".killswitch" | ".command") => !is_folder,
        _ => false,
    }
}

/// The way from a folder to another, both of which exist.
fn relative(from: &Path, to: &Path) -> Result<String, ManifestError> {
    let failed = |reason: String| ManifestError::Input { path: to.to_owned(), reason };
    let resolved = |path: &Path| path.canonicalize().map_err(|error| failed(format!("is not known ({error})")));
    let (from, target) = (resolved(from)?, resolved(to)?);
    let shared = from.components().zip(target.components()).take_while(|(a, b)| a == b).count();
    let mut way: Vec<String> = from.components().skip(shared).map(|_| "..".to_owned()).collect();
    for component in target.components().skip(shared) {
        match component {
            Component::Normal(name) => {
                let name = name.to_str().ok_or_else(|| failed("is not UTF-8".to_owned()))?;
                way.push(name.to_owned());
            }
            other => return Err(failed(format!("crosses {other:?}"))),
        }
    }
    Ok(if way.is_empty() { ".".to_owned() } else { way.join("/") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn run_in(folder: &Path) -> PathBuf {
        let run = folder.join("runs/run1");
        fs::create_dir_all(run.join("journal/cache")).unwrap();
        fs::create_dir_all(run.join("cache/deep")).unwrap();
        fs::create_dir_all(folder.join("m5")).unwrap();
        fs::write(run.join("summary.json"), b"{}\n").unwrap();
        fs::write(run.join("empty.csv"), b"").unwrap();
        fs::write(run.join("journal/000001.segment"), vec![7; 90]).unwrap();
        fs::write(run.join("journal/cache/index"), b"any").unwrap();
        fs::write(run.join("journal/lock"), b"").unwrap();
        fs::write(run.join("cache/deep/snapshot"), b"any").unwrap();
        fs::write(run.join("lock"), b"1").unwrap();
        let inputs = [(1, "0123abcd".to_owned(), folder.join("m5"))];
        let (manifest, written) = Manifest::write(&run, &inputs).unwrap();
        assert_eq!(manifest.inputs[0].path, "../../m5");
        assert_eq!(written.path, run.join(MANIFEST));
        run
    }

    #[test]
    fn it_lists_what_belongs_to_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let run = run_in(folder.path());
        let manifest = Manifest::verify(&run).unwrap();
        let paths: Vec<_> = manifest.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["empty.csv", "journal/000001.segment", "summary.json"]);
        fs::remove_dir_all(run.join("cache")).unwrap();
        fs::remove_file(run.join("lock")).unwrap();
        fs::write(run.join("journal/cache/index"), b"other").unwrap();
        assert_eq!(Manifest::verify(&run), Ok(manifest), "the cache and the lock may come and go");
    }

    #[test]
    fn every_flipped_bit_is_found_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let run = run_in(folder.path());
        for name in [MANIFEST, "summary.json", "journal/000001.segment"] {
            let path = run.join(name);
            let good = fs::read(&path).unwrap();
            for bit in 0..good.len() * 8 {
                let mut bad = good.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                fs::write(&path, &bad).unwrap();
                let fault = Manifest::verify(&run).expect_err("a flipped bit");
                assert_eq!(fault.file, name, "bit {bit}: {fault}");
            }
            fs::write(&path, &good).unwrap();
            for length in 0..good.len() {
                fs::write(&path, &good[..length]).unwrap();
                assert_eq!(Manifest::verify(&run).expect_err("a shorter file").file, name, "{length} bytes");
            }
            fs::write(&path, [&good[..], b"\n"].concat()).unwrap();
            assert_eq!(Manifest::verify(&run).expect_err("a longer file").file, name);
            fs::write(&path, &good).unwrap();
        }
        Manifest::verify(&run).unwrap();
    }

    #[test]
    fn missing_and_added_files_are_found_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let run = run_in(folder.path());
        fs::remove_file(run.join("empty.csv")).unwrap();
        let missing = Manifest::verify(&run).unwrap_err();
        assert_eq!((missing.file.as_str(), missing.reason.as_str()), ("empty.csv", "is missing"));
        fs::write(run.join("empty.csv"), b"").unwrap();
        for added in ["x", "journal/x", "journal/manifest.json", "summary.json.partial"] {
            fs::write(run.join(added), b"").unwrap();
            assert_eq!(Manifest::verify(&run).unwrap_err().file, added);
            fs::remove_file(run.join(added)).unwrap();
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("summary.json", run.join("link")).unwrap();
            assert_eq!(Manifest::verify(&run).unwrap_err().file, "link");
            assert!(matches!(Manifest::write(&run, &[]), Err(ManifestError::Foreign(_))));
            fs::remove_file(run.join("link")).unwrap();
        }
        Manifest::verify(&run).unwrap();
        fs::remove_file(run.join(MANIFEST)).unwrap();
        assert_eq!(Manifest::verify(&run).unwrap_err().file, MANIFEST);
    }

    #[test]
    fn of_an_archived_journal_only_what_left_with_the_frames_is_not_missed() {
        let folder = tempfile::tempdir().unwrap();
        let run = run_in(folder.path());
        fs::rename(run.join("journal/000001.segment"), run.join("journal/0000000001.segment")).unwrap();
        fs::write(run.join("journal/000000.seal"), b"seal").unwrap();
        Manifest::write(&run, &[]).unwrap();
        fs::write(run.join("journal/archived"), b"stub").unwrap();
        assert_eq!(Manifest::verify(&run).unwrap_err().file, "journal/archived");
        fs::remove_file(run.join("journal/0000000001.segment")).unwrap();
        assert_eq!(Manifest::verify(&run).unwrap_err().file, "journal/0000000001.segment");
        Manifest::verify_archived(&run).unwrap();
        for needed in ["journal/000000.seal", "summary.json"] {
            let good = fs::read(run.join(needed)).unwrap();
            fs::remove_file(run.join(needed)).unwrap();
            assert_eq!(Manifest::verify_archived(&run).unwrap_err().file, needed);
            fs::write(run.join(needed), good).unwrap();
        }
        fs::write(run.join("journal/archived.more"), b"").unwrap();
        assert_eq!(Manifest::verify_archived(&run).unwrap_err().file, "journal/archived.more");
    }

    #[test]
    fn writing_it_again_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let run = run_in(folder.path());
        let first = fs::read(run.join(MANIFEST)).unwrap();
        Manifest::write(&run, &[(1, "0123abcd".to_owned(), folder.path().join("m5"))]).unwrap();
        assert_eq!(fs::read(run.join(MANIFEST)).unwrap(), first);
        let gone = Manifest::write(&run, &[(1, "x".to_owned(), folder.path().join("nowhere"))]).unwrap_err();
        assert!(gone.to_string().contains("nowhere"), "{gone}");
    }
}
