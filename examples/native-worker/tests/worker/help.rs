//! What the program says of itself.

use std::path::Path;

#[test]
fn help_is_what_stands_in_the_file() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/worker/help.txt");
    worker_kit::testing::help_is_what_stands_in(Path::new(env!("CARGO_BIN_EXE_native-worker")), Path::new(file));
}
