# The command line is made of all of them.
cargo check --locked -p taskcluster-cli
