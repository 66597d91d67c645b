chmod +x "$work/in/taskcluster-codegen"
"$work/in/taskcluster-codegen" check api-references > "$work/out/references.txt"
cat "$work/out/references.txt"
