//! Messages of an Arrow IPC file or stream, checked before they are decoded.
//!
//! - Both forms are read as a stream: a file is a stream behind its magic bytes, and its footer says nothing more.
//! - A length is believed only when the file holds that many bytes, and a decompressed length only below a bound:
//!   a flipped bit must not become an allocation that ends the process.

use crate::files::FileError;
use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::{self, MessageHeader};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CONTINUATION: [u8; 4] = [0xff; 4];
const MAGIC: &[u8] = b"ARROW1";
/// The description of a batch; the bodies are elsewhere.
const DESCRIPTION_MAX: u64 = 64 << 20;
/// One decompressed column of one batch.
const COLUMN_MAX: i64 = 1 << 30;

pub(crate) struct IpcBatches {
    path: PathBuf,
    input: BufReader<File>,
    decoder: StreamDecoder,
    /// Bytes that the file still holds.
    left: u64,
    /// True for the file form, which ends with the magic bytes again.
    is_file: bool,
    ended: bool,
}

impl IpcBatches {
    /// Opens and reads the schema.
    pub fn open(path: &Path, is_file: bool) -> Result<(Self, SchemaRef), FileError> {
        let failed = |source| FileError::Open { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        if is_file {
            check_tail(path, &mut file, length)?;
        }
        let start = if is_file { first_message(&mut file).map_err(failed)? } else { 0 };
        file.seek(SeekFrom::Start(start)).map_err(failed)?;
        let mut batches = Self {
            path: path.to_owned(),
            input: BufReader::with_capacity(1 << 16, file),
            decoder: StreamDecoder::new(),
            left: length.saturating_sub(start),
            is_file,
            ended: false,
        };
        // The decoder takes a message without body to heart only when more bytes follow, so the schema is read here too.
        let Some(mut message) = batches.message()? else { return Err(batches.damaged("it has no schema")) };
        let schema = {
            let prefix = if message.starts_with(&CONTINUATION) { 8 } else { 4 };
            let parsed = ipc::root_as_message(&message[prefix..]).map_err(|error| batches.damaged(error))?;
            let schema = parsed.header_as_schema().ok_or_else(|| batches.damaged("it does not begin with a schema"))?;
            Arc::new(try_fb_to_schema(schema).map_err(|error| batches.damaged(error))?)
        };
        batches.decoder.decode(&mut message).map_err(|error| batches.damaged(error))?;
        Ok((batches, schema))
    }

    /// The next batch of rows.
    pub fn next(&mut self) -> Result<Option<RecordBatch>, FileError> {
        while let Some(mut message) = self.message()? {
            if let Some(batch) = self.decoder.decode(&mut message).map_err(|error| self.damaged(error))? {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// The bytes of the next message, prefix included; none at the end of the stream.
    fn message(&mut self) -> Result<Option<Buffer>, FileError> {
        if self.ended || (self.left == 0 && !self.is_file) {
            self.ended = true;
            return Ok(None);
        }
        let mut bytes = self.take(4)?;
        if bytes == CONTINUATION {
            bytes.extend(self.take(4)?);
        }
        let last: [u8; 4] = bytes[bytes.len() - 4..].try_into().map_err(|_| self.damaged("a short message"))?;
        let description = u64::from(u32::from_le_bytes(last));
        if description == 0 {
            self.ended = true;
            return Ok(None);
        }
        if description > DESCRIPTION_MAX {
            return Err(self.damaged("the description of a batch is too long"));
        }
        let start = bytes.len();
        bytes.extend(self.take(description)?);
        let body = {
            let message = ipc::root_as_message(&bytes[start..]).map_err(|error| self.damaged(error))?;
            u64::try_from(message.bodyLength()).map_err(|_| self.damaged("a negative length"))?
        };
        let body = self.take(body)?;
        {
            let message = ipc::root_as_message(&bytes[start..]).map_err(|error| self.damaged(error))?;
            self.check_decompressed(&message, &body)?;
        }
        bytes.extend(body);
        Ok(Some(Buffer::from_vec(bytes)))
    }

    fn check_decompressed(&self, message: &ipc::Message<'_>, body: &[u8]) -> Result<(), FileError> {
        let batch = match message.header_type() {
            MessageHeader::RecordBatch => message.header_as_record_batch(),
            MessageHeader::DictionaryBatch => message.header_as_dictionary_batch().and_then(|batch| batch.data()),
            _ => None,
        };
        let Some(batch) = batch.filter(|batch| batch.compression().is_some()) else { return Ok(()) };
        for buffer in batch.buffers().into_iter().flatten() {
            let start = usize::try_from(buffer.offset()).unwrap_or(usize::MAX);
            if let Some(prefix) = start.checked_add(8).and_then(|end| body.get(start..end)) {
                let length = i64::from_le_bytes(prefix.try_into().unwrap_or_default());
                if buffer.length() >= 8 && length > COLUMN_MAX {
                    return Err(self.damaged(format_args!("a column of {length} bytes in one batch")));
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, count: u64) -> Result<Vec<u8>, FileError> {
        if count > self.left {
            return Err(self.damaged("it ends in the middle"));
        }
        let mut bytes = vec![0; count as usize];
        self.input.read_exact(&mut bytes).map_err(|error| self.damaged(error))?;
        self.left -= count;
        Ok(bytes)
    }

    fn damaged(&self, what: impl std::fmt::Display) -> FileError {
        FileError::damaged(&self.path, what)
    }
}

fn check_tail(path: &Path, file: &mut File, length: u64) -> Result<(), FileError> {
    let mut tail = [0; 6];
    let complete = length >= 20
        && file.seek(SeekFrom::End(-6)).is_ok()
        && file.read_exact(&mut tail).is_ok()
        && tail.as_slice() == MAGIC;
    if complete { Ok(()) } else { Err(FileError::damaged(path, "it ends in the middle: the last bytes are missing")) }
}

/// Where the first message of a file begins: behind the magic bytes, padded with zeros to 8 bytes or more.
fn first_message(file: &mut File) -> std::io::Result<u64> {
    const PADDED_MAX: usize = 64;
    file.seek(SeekFrom::Start(0))?;
    let mut head = Vec::new();
    file.take(PADDED_MAX as u64).read_to_end(&mut head)?;
    let message = head.chunks(8).skip(1).position(|word| word.iter().any(|&byte| byte != 0));
    Ok(message.map_or(PADDED_MAX as u64, |words| 8 * (words as u64 + 1)))
}
