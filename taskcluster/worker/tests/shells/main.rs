//! Shells in running tasks over real sockets, with programs that the tests play: what each protocol says, written after its
//! description and not by the worker's own codecs, and peers of all kinds.

mod client;
mod hostile;
mod own;
mod places;
mod stage;
mod tls;
mod v1;
mod v2;
