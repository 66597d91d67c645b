status=0
cargo test --locked -p taskcluster-codegen > "$work/out/test.txt" 2>&1 || status=$?
cat "$work/out/test.txt"
exit $status
