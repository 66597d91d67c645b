cd "$work/in"
sha256sum generated.tar generated-again.tar
cmp generated.tar generated-again.tar
echo "the same bytes"
