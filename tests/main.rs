//! End to end, over real HTTP.

mod wire;
