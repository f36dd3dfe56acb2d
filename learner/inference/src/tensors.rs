//! Tensor files in the safetensors format, with a hash of their content inside.
//!
//! - Layout: `u64` length of the header (little-endian), the header (JSON), the values. All tensors are `F32`.
//! - The metadata key `content` is the blake3 of the file's bytes with its own 64 digits read as zeros: one number
//!   names the file, and any changed byte is found.
//! - Written to a sibling, synced, renamed: a crash leaves the old file or the new one.
//! - Must never: panic on bytes from outside, or allocate by a length that the file does not have.

use crate::ModelError;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// One tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its dimensions, row-major.
    pub dims: Vec<usize>,
    /// Its values.
    pub values: Vec<f32>,
}

/// What a tensor file holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TensorFile {
    /// Text by key, without `content`.
    pub metadata: BTreeMap<String, String>,
    /// Tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
}

/// Hash of a tensor file's content, as 64 hexadecimal digits.
pub type ContentHash = String;

const CONTENT: &str = "content";
const METADATA: &str = "__metadata__";
const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// A header is names and numbers; more than this is damage.
const HEADER_BYTES_MAX: u64 = 16 << 20;

impl TensorFile {
    /// The file's bytes and its content hash. The same content always gives the same bytes.
    pub fn encode(&self) -> (Vec<u8>, ContentHash) {
        assert!(!self.metadata.contains_key(CONTENT), "`content` is computed");
        let mut metadata: Map<String, Value> =
            self.metadata.iter().map(|(key, text)| (key.clone(), Value::from(text.as_str()))).collect();
        metadata.insert(CONTENT.to_owned(), NO_HASH.into());
        let mut header = Map::new();
        header.insert(METADATA.to_owned(), metadata.into());
        let mut at = 0;
        for (name, tensor) in &self.tensors {
            assert_eq!(tensor.dims.iter().product::<usize>(), tensor.values.len(), "{name}: dimensions and values");
            let end = at + tensor.values.len() * 4;
            let entry = serde_json::json!({ "dtype": "F32", "shape": tensor.dims, "data_offsets": [at, end] });
            header.insert(name.clone(), entry);
            at = end;
        }
        let mut text = Value::from(header).to_string();
        // Values begin 8-aligned; the format allows spaces behind the header.
        text.extend(std::iter::repeat_n(' ', text.len().next_multiple_of(8) - text.len()));
        let mut bytes = Vec::with_capacity(8 + text.len() + at);
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
        for tensor in self.tensors.values() {
            tensor.values.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
        }
        let hash = blake3::hash(&bytes).to_hex().to_string();
        let place = content_place(&text, NO_HASH).expect("the key was just written");
        bytes[8 + place..8 + place + hash.len()].copy_from_slice(hash.as_bytes());
        (bytes, hash)
    }

    /// Writes the file so that a crash leaves the old one or the new one; says its content hash.
    pub fn write(&self, path: &Path) -> Result<ContentHash, ModelError> {
        let (bytes, hash) = self.encode();
        write_whole(path, &bytes)?;
        Ok(hash)
    }

    /// Reads a file back, checks its content hash and says it.
    pub fn read(path: &Path) -> Result<(Self, ContentHash), ModelError> {
        let bytes = std::fs::read(path).map_err(|source| ModelError::io(path, "read it", source))?;
        Self::decode(path, &bytes)
    }

    /// Takes a file's bytes apart; `path` is for messages.
    pub fn decode(path: &Path, bytes: &[u8]) -> Result<(Self, ContentHash), ModelError> {
        let fault = |what: String| ModelError::format(path, what);
        let (length, rest) =
            bytes.split_first_chunk::<8>().ok_or_else(|| fault(format!("it has {} bytes", bytes.len())))?;
        let length = u64::from_le_bytes(*length);
        if length > HEADER_BYTES_MAX || length > rest.len() as u64 {
            return Err(fault(format!("its header claims {length} bytes of {}", rest.len())));
        }
        let (text, values) = rest.split_at(length as usize);
        let text = std::str::from_utf8(text).map_err(|error| fault(format!("its header is not text: {error}")))?;
        let header: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| fault(format!("its header is not JSON: {error}")))?;
        let metadata = metadata_of(&header).ok_or_else(|| fault("its metadata is not text by key".to_owned()))?;
        let hash = check_content(path, bytes, text, &metadata)?;
        let mut file = Self { metadata, tensors: BTreeMap::new() };
        file.metadata.remove(CONTENT);
        for (name, entry) in header.iter().filter(|(name, _)| *name != METADATA) {
            let tensor = tensor_of(entry, values).map_err(|what| fault(format!("tensor {name}: {what}")))?;
            file.tensors.insert(name.clone(), tensor);
        }
        Ok((file, hash))
    }

    /// A tensor of these dimensions, or an error that names file and tensor.
    pub fn tensor(&self, path: &Path, name: &str, dims: &[usize]) -> Result<&[f32], ModelError> {
        let tensor = self.tensors.get(name).ok_or_else(|| {
            ModelError::content(path, name, "the tensor is missing: the file is of another kind or version")
        })?;
        if tensor.dims != dims {
            let what = format!("its dimensions are {:?}, the network's shape needs {dims:?}", tensor.dims);
            return Err(ModelError::content(path, name, what));
        }
        Ok(&tensor.values)
    }

    /// A metadata text, or an error that names file and key.
    pub fn text(&self, path: &Path, key: &str) -> Result<&str, ModelError> {
        let missing = || ModelError::content(path, key, "the metadata key is missing: the file is of another kind");
        self.metadata.get(key).map(String::as_str).ok_or_else(missing)
    }
}

/// Writes a whole file: sibling, sync, rename, sync of the folder.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let make = |doing: &'static str| move |source| ModelError::io(path, doing, source);
    let mut sibling = tempfile::Builder::new()
        .prefix(".writing-")
        .tempfile_in(folder)
        .map_err(make("make a temporary file beside it"))?;
    sibling.write_all(bytes).map_err(make("write it"))?;
    sibling.as_file().sync_all().map_err(make("sync it"))?;
    sibling.persist(path).map_err(|error| ModelError::io(path, "rename the new file to it", error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(make("sync its folder"))
}

fn metadata_of(header: &Map<String, Value>) -> Option<BTreeMap<String, String>> {
    let Some(metadata) = header.get(METADATA) else { return Some(BTreeMap::new()) };
    let pairs = metadata.as_object()?.iter();
    pairs.map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned()))).collect()
}

/// Where the digits of the content hash stand in the header.
fn content_place(text: &str, digits: &str) -> Option<usize> {
    let entry = format!("\"{CONTENT}\":\"{digits}\"");
    text.find(&entry).map(|at| at + entry.len() - 1 - digits.len())
}

fn check_content(
    path: &Path,
    bytes: &[u8],
    text: &str,
    metadata: &BTreeMap<String, String>,
) -> Result<ContentHash, ModelError> {
    let recorded = metadata
        .get(CONTENT)
        .ok_or_else(|| ModelError::content(path, CONTENT, "the metadata key is missing: daybook did not write it"))?;
    let plain = recorded.len() == NO_HASH.len() && recorded.bytes().all(|byte| byte.is_ascii_hexdigit());
    let place = content_place(text, recorded)
        .filter(|_| plain)
        .ok_or_else(|| ModelError::content(path, CONTENT, "it is not a hash of 64 hexadecimal digits"))?;
    let begin = 8 + place;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes[..begin]);
    hasher.update(NO_HASH.as_bytes());
    hasher.update(&bytes[begin + NO_HASH.len()..]);
    let found = hasher.finalize().to_hex().to_string();
    if found != *recorded {
        return Err(ModelError::Tampered { file: path.to_owned(), recorded: recorded.clone(), found });
    }
    Ok(found)
}

fn tensor_of(entry: &Value, values: &[u8]) -> Result<Tensor, String> {
    let dtype = entry["dtype"].as_str().unwrap_or("none");
    if dtype != "F32" {
        return Err(format!("its type is {dtype}, F32 is read"));
    }
    let number = |value: &Value| value.as_u64().and_then(|number| usize::try_from(number).ok());
    let numbers = |key: &str| -> Result<Vec<usize>, String> {
        let list = entry[key].as_array().ok_or_else(|| format!("{key} is not a list"))?;
        list.iter().map(|value| number(value).ok_or_else(|| format!("{key} holds {value}"))).collect()
    };
    let (dims, offsets) = (numbers("shape")?, numbers("data_offsets")?);
    let [begin, end] = offsets[..] else { return Err("data_offsets are not two numbers".to_owned()) };
    let bytes = values.get(begin..end).ok_or_else(|| format!("its values lie outside the file ({begin}..{end})"))?;
    let count = dims.iter().try_fold(4usize, |count, dim| count.checked_mul(*dim));
    if count != Some(bytes.len()) {
        return Err(format!("{} bytes are not {dims:?} values of 4 bytes", bytes.len()));
    }
    let values = bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
    Ok(Tensor { dims, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> TensorFile {
        let mut file = TensorFile::default();
        file.metadata.insert("format".to_owned(), "a \"quoted\" text".to_owned());
        file.tensors.insert("b".to_owned(), Tensor { dims: vec![2, 3], values: vec![1.0, -2.5, 3.0, 0.0, 1e-9, 7.0] });
        file.tensors.insert("a".to_owned(), Tensor { dims: vec![], values: vec![f32::MIN_POSITIVE] });
        file
    }

    #[test]
    fn what_is_written_is_read_back_and_the_same_content_is_the_same_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.safetensors");
        let hash = sample().write(&path).expect("written");
        let (read, found) = TensorFile::read(&path).expect("read");
        assert_eq!((read, found.as_str()), (sample(), hash.as_str()));
        assert_eq!(sample().encode(), (std::fs::read(&path).expect("bytes"), hash));
        let names: Vec<_> = std::fs::read_dir(folder.path()).expect("listed").collect();
        assert_eq!(names.len(), 1, "nothing temporary stays");
    }

    /// Trap 25, P3: every flipped bit is found, none panics, and the message names the file.
    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let (bytes, _) = sample().encode();
        let path = Path::new("model.safetensors");
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let error = TensorFile::decode(path, &damaged).expect_err("found").to_string();
            assert!(error.contains("model.safetensors"), "bit {bit}: {error}");
        }
        for length in 0..bytes.len() {
            TensorFile::decode(path, &bytes[..length]).expect_err("found");
        }
    }

    #[test]
    fn headers_that_lie_are_refused() {
        for (header, word) in [
            (r#"{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]},"__metadata__":{}}"#, "content"),
            (r#"{"__metadata__":{"content":7}}"#, "metadata"),
            (r#"{"__metadata__":{"content":"zz"}}"#, "hash"),
            ("[1,2]", "JSON"),
            ("{", "JSON"),
        ] {
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend_from_slice(header.as_bytes());
            let error = TensorFile::decode(Path::new("m"), &bytes).expect_err("refused").to_string();
            assert!(error.contains(word), "{header}: {error}");
        }
        let huge = u64::MAX.to_le_bytes();
        TensorFile::decode(Path::new("m"), &huge).expect_err("a length that the file does not have");
    }

    #[test]
    fn tensors_that_do_not_fit_their_bytes_are_refused() {
        for (entry, word) in [
            (r#"{"dtype":"F64","shape":[1],"data_offsets":[0,8]}"#, "F64"),
            (r#"{"dtype":"F32","shape":[3],"data_offsets":[0,8]}"#, "8 bytes"),
            (r#"{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,8]}"#, "8 bytes"),
            (r#"{"dtype":"F32","shape":[2],"data_offsets":[8,0]}"#, "outside"),
            (r#"{"dtype":"F32","shape":[2],"data_offsets":[4,12]}"#, "outside"),
            (r#"{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}"#, "-1"),
            (r#"{"dtype":"F32","shape":2,"data_offsets":[0,8]}"#, "list"),
            ("7", "type"),
        ] {
            let entry: Value = serde_json::from_str(entry).expect("JSON");
            let error = tensor_of(&entry, &[0; 8]).expect_err("refused");
            assert!(error.contains(word), "{entry}: {error}");
        }
    }
}
