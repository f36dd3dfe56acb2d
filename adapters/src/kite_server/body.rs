//! The body of an answer: whole, or broken off in its middle where that was asked for.
//!
//! - It announces its whole length either way: a client that counts bytes sees that some are missing.

use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// The connection breaks, as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is lost on request (--fault)")]
pub struct Lost;

/// What was written so far goes out before the connection breaks.
const GOES_OUT_WITHIN: Duration = Duration::from_millis(50);

/// A body.
#[derive(Debug)]
pub struct Content {
    left: Bytes,
    length: u64,
    /// The bytes are not all there are: until then they go out, and then the connection breaks.
    breaks: Option<Pin<Box<Sleep>>>,
}

impl Content {
    /// All of it.
    pub const fn whole(bytes: Bytes) -> Self {
        let length = bytes.len() as u64;
        Self { left: bytes, length, breaks: None }
    }

    /// Its first half, and then the end of the connection.
    #[must_use]
    pub fn cut(mut self) -> Self {
        self.left.truncate(self.left.len() / 2);
        self.breaks = Some(Box::pin(tokio::time::sleep(GOES_OUT_WITHIN)));
        self
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Lost;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Lost>>> {
        let bytes = std::mem::take(&mut self.left);
        if !bytes.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match &mut self.breaks {
            Some(sleep) => sleep.as_mut().poll(context).map(|()| Some(Err(Lost))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.breaks.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}
