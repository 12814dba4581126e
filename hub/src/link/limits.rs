//! Limits of the link, each with its reason, and the server that has them set.
//!
//! Owns numbers. Never counts: `admission` does.

use std::time::Duration;

use tonic::transport::Server;

/// Largest message, either way. A bigger one cannot block a stream: it is refused, and what caused
/// it is told. HTTP/2 windows and proxies are comfortable with it.
pub const MESSAGE_BYTES: usize = 1 << 20;
/// Largest piece of a blob: a message less its envelope.
pub const CHUNK_BYTES: usize = MESSAGE_BYTES - 1024;
/// Largest blob, uncompressed. Kubernetes takes no object above 1.5 MiB; a bundle of 100,000
/// objects is below it.
pub const BLOB_BYTES: usize = 32 << 20;
/// Blobs in one request.
pub const BLOBS_A_REQUEST: usize = 1000;

/// Streams on one connection: an agent needs one for its session and one for each assignment that
/// it fetches (at most 8); a person's tools need a few watches.
pub const STREAMS_A_CONNECTION: u32 = 64;
/// Pings on a silent connection: below the 60 s after which common load balancers forget it.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// How long a ping may stay unanswered. Heartbeats notice sooner; this frees the socket.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a session lives, give or take 20 %: identities are looked at anew, and after a hub was
/// added or lost the fleet spreads again.
pub const SESSION_AGE: Duration = Duration::from_mins(30);
/// How long a connection lives that nobody closed: later than any session on it.
pub const CONNECTION_AGE: Duration = Duration::from_hours(1);
/// How long a connection that has reached its age may finish what is under way.
pub const CONNECTION_GRACE: Duration = Duration::from_mins(1);

/// Sessions that may be opening (hello, admission, first summary) at a time. Opening reads every
/// assignment of a cluster; the others are told to come back.
pub const OPENING_AT_ONCE: usize = 64;
/// How long an agent stays away that came when too many were opening; from this to twice this.
pub const OPENING_RETRY: Duration = Duration::from_secs(5);
/// Requests an identity may make at once.
pub const REQUEST_BURST: u32 = 100;
/// Requests an identity may make a second, in the long run: eight assignments at a time, each a
/// few requests, and some room.
pub const REQUESTS_A_SECOND: u32 = 50;
/// Join requests a second, from everybody together: they come without a certificate.
pub const JOINS_A_SECOND: u32 = 20;
/// Blob requests that are served at a time, all identities together: bounds the memory for blobs.
pub const BLOB_REQUESTS_AT_ONCE: usize = 64;
/// Messages to an agent that wait in the stream. Few, because state is read when it is sent.
pub const MESSAGES_AHEAD: usize = 4;
/// Commands that wait for a session to take them.
pub const COMMANDS_AHEAD: usize = 16;

/// A server with the limits of a connection set. TLS, layers and services are its owner's.
pub fn server() -> Server {
    Server::builder()
        .max_concurrent_streams(STREAMS_A_CONNECTION)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_connection_age(CONNECTION_AGE)
        .max_connection_age_grace(CONNECTION_GRACE)
        .tcp_nodelay(true)
}
