//! Batches of an Arrow IPC file or stream, checked before they are decoded.
//!
//! - A file is read through its footer, the only place that says where its batches are: writers differ in what stands
//!   between the magic bytes and the first batch (Polars writes a schema there without the prefix of a message).
//! - A stream is read message by message.
//! - A length is believed only when the file holds that many bytes, and a decompressed length only below a bound:
//!   a flipped bit must not become an allocation that ends the process. This is why the reader of the library, which
//!   allocates what a footer claims, is used from its decoder on only.

use crate::files::FileError;
use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::{FileDecoder, StreamDecoder};
use arrow::ipc::{self, Block, MessageHeader};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CONTINUATION: [u8; 4] = [0xff; 4];
const MAGIC: &[u8] = b"ARROW1";
/// Behind the footer: its length and the magic bytes again.
const TAIL: u64 = 10;
/// The description of a batch; the bodies are elsewhere.
const DESCRIPTION_MAX: u64 = 64 << 20;
/// One decompressed column of one batch.
const COLUMN_MAX: i64 = 1 << 30;

/// The batches of a file or a stream, in order.
pub(crate) struct IpcBatches {
    bytes: Bytes,
    form: Form,
}

enum Form {
    File { decoder: Box<FileDecoder>, blocks: std::vec::IntoIter<Block> },
    Stream { decoder: Box<StreamDecoder>, ended: bool },
}

impl IpcBatches {
    /// Opens and reads the schema.
    pub fn open(path: &Path, is_file: bool) -> Result<(Self, SchemaRef), FileError> {
        let failed = |source| FileError::Open { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let left = file.metadata().map_err(failed)?.len();
        let bytes = Bytes { path: path.to_owned(), input: BufReader::with_capacity(1 << 16, file), length: left, left };
        if is_file { Self::open_file(bytes) } else { Self::open_stream(bytes) }
    }

    fn open_file(mut bytes: Bytes) -> Result<(Self, SchemaRef), FileError> {
        let footer = bytes.footer()?;
        let footer = ipc::root_as_footer(&footer).map_err(|error| bytes.damaged(error))?;
        let schema = footer.schema().ok_or_else(|| bytes.damaged("its footer has no schema"))?;
        let schema = Arc::new(try_fb_to_schema(schema).map_err(|error| bytes.damaged(error))?);
        let mut decoder = Box::new(FileDecoder::new(Arc::clone(&schema), footer.version()));
        for block in footer.dictionaries().into_iter().flatten() {
            let body = bytes.block(block)?;
            decoder.read_dictionary(block, &body).map_err(|error| bytes.damaged(error))?;
        }
        let blocks: Vec<Block> = footer.recordBatches().into_iter().flatten().copied().collect();
        Ok((Self { bytes, form: Form::File { decoder, blocks: blocks.into_iter() } }, schema))
    }

    fn open_stream(mut bytes: Bytes) -> Result<(Self, SchemaRef), FileError> {
        let mut decoder = Box::new(StreamDecoder::new());
        // The decoder takes a message without body to heart only when more bytes follow, so the schema is read here too.
        let Some(mut message) = bytes.message()? else { return Err(bytes.damaged("it has no schema")) };
        let schema = {
            let prefix = if message.starts_with(&CONTINUATION) { 8 } else { 4 };
            let parsed = ipc::root_as_message(&message[prefix..]).map_err(|error| bytes.damaged(error))?;
            let schema = parsed.header_as_schema().ok_or_else(|| bytes.damaged("it does not begin with a schema"))?;
            Arc::new(try_fb_to_schema(schema).map_err(|error| bytes.damaged(error))?)
        };
        decoder.decode(&mut message).map_err(|error| bytes.damaged(error))?;
        Ok((Self { bytes, form: Form::Stream { decoder, ended: false } }, schema))
    }

    /// The next batch of rows.
    pub fn next(&mut self) -> Result<Option<RecordBatch>, FileError> {
        let Self { bytes, form } = self;
        match form {
            Form::File { decoder, blocks } => {
                for block in blocks {
                    let body = bytes.block(&block)?;
                    if let Some(batch) =
                        decoder.read_record_batch(&block, &body).map_err(|error| bytes.damaged(error))?
                    {
                        return Ok(Some(batch));
                    }
                }
            }
            Form::Stream { decoder, ended } => {
                while !*ended {
                    let Some(mut message) = bytes.message()? else {
                        *ended = true;
                        break;
                    };
                    if let Some(batch) = decoder.decode(&mut message).map_err(|error| bytes.damaged(error))? {
                        return Ok(Some(batch));
                    }
                }
            }
        }
        Ok(None)
    }
}

/// The bytes of a file, none of whose claims about lengths is believed unchecked.
struct Bytes {
    path: PathBuf,
    input: BufReader<File>,
    length: u64,
    /// Bytes behind the place that is read.
    left: u64,
}

impl Bytes {
    /// The footer of a file.
    fn footer(&mut self) -> Result<Vec<u8>, FileError> {
        let cut = |bytes: &Self| bytes.damaged("it ends in the middle: the last bytes are missing");
        let Some(end) = self.length.checked_sub(TAIL).filter(|&end| end > MAGIC.len() as u64) else {
            return Err(cut(self));
        };
        self.seek(end)?;
        let tail = self.take(TAIL)?;
        let (length, magic) = tail.split_at(4);
        if magic != MAGIC {
            return Err(cut(self));
        }
        let length = length.try_into().map(i32::from_le_bytes).ok().and_then(|length| u64::try_from(length).ok());
        let start = length.filter(|&length| length <= DESCRIPTION_MAX).and_then(|length| end.checked_sub(length));
        let Some(start) = start.filter(|&start| start >= MAGIC.len() as u64) else {
            return Err(self.damaged("its footer has an impossible length"));
        };
        self.seek(start)?;
        self.take(end - start)
    }

    /// The bytes of a block of a file, prefix and description included.
    fn block(&mut self, block: &Block) -> Result<Buffer, FileError> {
        let number = |value: i64| u64::try_from(value).ok();
        let lengths = (number(block.offset()), number(block.metaDataLength().into()), number(block.bodyLength()));
        let (Some(offset), Some(description), Some(body)) = lengths else {
            return Err(self.damaged("a batch at a negative place"));
        };
        let length = description.checked_add(body).filter(|_| (8..=DESCRIPTION_MAX).contains(&description));
        let Some(length) = length.filter(|_| offset <= self.length) else {
            return Err(self.damaged("a batch at an impossible place"));
        };
        self.seek(offset)?;
        let bytes = self.take(length)?;
        let (description, body) = bytes.split_at(description as usize);
        let prefix = if description.starts_with(&CONTINUATION) { 8 } else { 4 };
        let message = ipc::root_as_message(&description[prefix..]).map_err(|error| self.damaged(error))?;
        self.check_decompressed(&message, body)?;
        Ok(Buffer::from_vec(bytes))
    }

    fn seek(&mut self, place: u64) -> Result<(), FileError> {
        self.input.seek(SeekFrom::Start(place)).map_err(|error| self.damaged(error))?;
        self.left = self.length.saturating_sub(place);
        Ok(())
    }

    /// The bytes of a stream's next message, prefix included; none at the end of the stream.
    fn message(&mut self) -> Result<Option<Buffer>, FileError> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut bytes = self.take(4)?;
        if bytes == CONTINUATION {
            bytes.extend(self.take(4)?);
        }
        let last: [u8; 4] = bytes[bytes.len() - 4..].try_into().map_err(|_| self.damaged("a short message"))?;
        let description = u64::from(u32::from_le_bytes(last));
        if description == 0 {
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
