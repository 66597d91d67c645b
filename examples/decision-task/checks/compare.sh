cd "$work/in"
cmp generated.tar generated-again.tar
sha256sum generated.tar generated-again.tar > "$work/out/compare.txt"
cat "$work/out/compare.txt"
echo "the same bytes"
