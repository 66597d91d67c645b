//! A tunnel as its client sees it.

mod encrypted;
mod frames;
mod late;
mod server;
