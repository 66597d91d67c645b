//! The first program of the README, word for word.

include!(concat!(env!("OUT_DIR"), "/first_program.rs"));
