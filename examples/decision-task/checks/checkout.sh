# The commit, fetched into a cache. Unchanged files keep their times, so that builds redo only what a commit changes;
# caches always have the same real path, so that builds recognise what they made.
work=$PWD
mkdir -p in out
cache=$(cd cache && pwd -P)
git init -q "$cache/checkout"
cd "$cache/checkout"
rm -f .git/*.lock
git -c gc.auto=0 fetch -q --depth 1 "$HEAD_REPOSITORY" "$HEAD_REVISION"
git checkout -q --force --detach FETCH_HEAD
git clean -q -ffdx
export CARGO_TARGET_DIR="$cache/target" CARGO_NET_OFFLINE=true CARGO_PROFILE_DEV_DEBUG=false CARGO_TERM_COLOR=never
