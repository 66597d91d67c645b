cargo build --locked -p taskcluster-codegen
cp "$CARGO_TARGET_DIR/debug/taskcluster-codegen" "$work/out/"
