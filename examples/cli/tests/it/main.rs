//! The built binary from outside: what it says and how it ends.

mod bad_input;
mod fixture;
mod run;
mod up;
