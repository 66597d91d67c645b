# Every relative link of a document names a file of this commit. Links to Rust items are rustdoc's to check.
status=0
for document in $(git ls-files '*.md'); do
  for link in $(sed 's/`[^`]*`//g' "$document" | grep -o '](\([^)]*\))' | sed 's/^](//; s/)$//; s/#.*//'); do
    case $link in *://* | mailto:* | *::*) continue ;; esac
    case $document:$link in */src/*:*[!A-Za-z0-9_]*) ;; */src/*) continue ;; esac # a page of rustdoc, and the name of an item
    if [ ! -e "$(dirname "$document")/$link" ]; then
      echo "$document: $link leads nowhere"
      status=1
    fi
  done
done
exit $status
