status=0
cargo test --locked -p taskcluster-codegen > "$work/out/all.txt" 2>&1 || status=$?
cat "$work/out/all.txt"
grep '^test result' "$work/out/all.txt" > "$work/out/test.txt" || true
exit $status
