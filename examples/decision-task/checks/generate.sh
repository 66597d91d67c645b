chmod +x "$work/in/taskcluster-codegen"
"$work/in/taskcluster-codegen" emit api-references --out "$work/generated"
# The archive depends on names and contents only.
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=a=rX,u+w -cf "$work/out/$LEAVES" -C "$work/generated" .
sha256sum "$work/out/$LEAVES"
