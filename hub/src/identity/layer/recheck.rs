//! The answer of a call that goes on: its caller is asked about again and again while it lasts.
//!
//! Owns the end of streams whose caller was removed or may no longer make the call. Wraps the body
//! of every response, so no method can forget it. Never decides: the layer does.

use std::{
    fmt,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::AuthLayer;
use crate::identity::{Caller, authorize::Denied};

/// A body that ends with the reason when its caller is denied.
pub struct Rechecked<B> {
    /// `None` once it was taken away.
    body: Option<B>,
    guard: Option<Guard>,
}

/// Whom to ask about.
pub(super) struct Guard {
    layer: AuthLayer,
    path: String,
    caller: Caller,
    from: Option<SocketAddr>,
    timer: Pin<Box<Sleep>>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("path", &self.path)
            .field("caller", &self.caller)
            .finish_non_exhaustive()
    }
}

impl Guard {
    pub(super) fn new(
        layer: AuthLayer,
        path: &str,
        caller: Caller,
        from: Option<SocketAddr>,
    ) -> Self {
        let timer = Box::pin(sleep(layer.gate.recheck));
        Self {
            layer,
            path: path.to_owned(),
            caller,
            from,
            timer,
        }
    }

    /// Waits for the time to ask, asks, and is ready when the caller is denied.
    fn poll_denied(&mut self, cx: &mut Context<'_>) -> Poll<Denied> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            if let Err(denied) = self.layer.recheck(&self.path, &self.caller) {
                self.layer.gate.denials.log(&denied, self.from);
                return Poll::Ready(denied);
            }
            self.timer
                .as_mut()
                .reset(Instant::now() + self.layer.gate.recheck);
        }
    }
}

impl<B> Rechecked<B> {
    /// Without a guard, the body is only passed on.
    pub(super) fn new(body: B, guard: Option<Guard>) -> Self {
        Self {
            body: Some(body),
            guard,
        }
    }
}

impl<B> fmt::Debug for Rechecked<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rechecked").finish_non_exhaustive()
    }
}

impl<B: Default> Default for Rechecked<B> {
    fn default() -> Self {
        Self::new(B::default(), None)
    }
}

impl<B: Body + Unpin> Body for Rechecked<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        // Before the body: one that always has more must not keep its caller from being asked about.
        if let Some(guard) = &mut this.guard
            && let Poll::Ready(denied) = guard.poll_denied(cx)
        {
            this.guard = None;
            // Whoever makes the stream learns by this that nobody reads it any more.
            this.body = None;
            let mut trailers = http::HeaderMap::new();
            if denied.to_status().add_header(&mut trailers).is_ok() {
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
        }
        match &mut this.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        // It may end before its time.
        SizeHint::default()
    }
}
