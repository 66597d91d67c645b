indented() { sed 's/^/    /' "$work/in/$1"; }
{
  echo "# What was made of commit $HEAD_REVISION"
  printf '\n## References\n\n'
  indented references.txt
  printf '\n## Generated code\n\nThe same bytes twice, with the SHA-256 sum `%s`.\n\n' "$(sha256sum < "$work/in/generated.tar" | cut -c 1-64)"
  printf '## Lines of the crate that was built of it\n\n'
  indented build.txt
  printf '\n## Tests of the generator\n\n'
  grep '^test result' "$work/in/test.txt" | sed 's/^/    /'
} > "$work/out/report.md"
cat "$work/out/report.md"
