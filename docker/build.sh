#!/usr/bin/env bash
# Build the image, with where it came from written into it:  docker/build.sh [further options for the engine's build]
#   ENGINE=podman        instead of the first of docker, podman that is installed
#   TAG=name:tag         instead of petl-ast:<version>
#   BASE_IMAGE=name@...  a base of your own, or the digest an earlier build printed, to build that image again
set -euo pipefail
cd "$(dirname "$0")/.."

engine=${ENGINE:-$(command -v docker || command -v podman || true)}
[ -n "$engine" ] || { echo "build.sh: neither docker nor podman is installed here" >&2; exit 2; }
"$engine" info >/dev/null 2>&1 || { echo "build.sh: $engine does not answer; is its service running?" >&2; exit 2; }

version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' petl/__init__.py)
commit=$(git rev-parse HEAD)
[ -z "$(git status --porcelain)" ] || commit+=-dirty       # untracked files count: the image contains them
lock_hash=$(sha256sum docker/requirements.lock | cut -d ' ' -f 1)

# A tag moves, a digest does not. The wheels are linux/amd64, so the base is too, on any machine.
base=${BASE_IMAGE:-$(sed -n 's/^ARG BASE_IMAGE=//p' Dockerfile)}
case $base in
    *@sha256:*) ;;
    *)  "$engine" pull --quiet --platform linux/amd64 "$base" >/dev/null
        base=$("$engine" image inspect --format '{{index .RepoDigests 0}}' "$base") ;;
esac

tag=${TAG:-petl-ast:$version}
"$engine" build --platform linux/amd64 --tag "$tag" \
    --build-arg BASE_IMAGE="$base" \
    --build-arg GIT_COMMIT="$commit" \
    --build-arg LOCK_HASH="$lock_hash" \
    --build-arg VERSION="$version" \
    "$@" .

echo "built $tag from commit $commit, lock $lock_hash"
echo "the same base again: BASE_IMAGE=$base docker/build.sh"
