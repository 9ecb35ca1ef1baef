#!/usr/bin/env bash
# Build the image and record its origin in it:
#   docker/build.sh [--archive petl.tar] [-- further options for the engine's build]
#   ENGINE=podman        instead of the first of docker, podman, buildah that answers
#   TAG=name:tag         instead of petl-ast:<version>
#   BASE_IMAGE=name@...  another base image, or the digest that an earlier build printed, to build that image again
# --archive also writes the image to a file, to keep and to convert for a cluster (docs/container.md).
set -euo pipefail

archive=
while [ $# -gt 0 ]; do
    case $1 in
        --archive) archive=$(realpath -m "${2:?--archive needs a file}"); shift 2 ;;
        --) shift; break ;;
        *)  echo "build.sh: unknown option $1; options for the engine come after --" >&2; exit 2 ;;
    esac
done
[ ! -e "$archive" ] || { echo "build.sh: $archive already exists; move it or choose another name" >&2; exit 2; }

cd "$(dirname "$0")/.."
engine=$(docker/engine.sh)
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' petl/__init__.py)
commit=$(git rev-parse HEAD)
[ -z "$(git status --porcelain)" ] || commit+=-dirty       # untracked files count: the image contains them
lock_hash=$(sha256sum docker/requirements.lock | cut -d ' ' -f 1)

# The digest of a base image that local_base.sh made, or its id if the engine keeps no digest.
digest() {
    case $engine in
        buildah) echo "$(sed 's/:[^:/]*$//' <<<"$1")@$(buildah inspect -t image -f '{{.FromImageDigest}}' "$1")" ;;
        *)  "$engine" image inspect --format '{{if .RepoDigests}}{{index .RepoDigests 0}}{{else}}{{.Id}}{{end}}' "$1" ;;
    esac
}

# A tag can move, a digest cannot. The wheels are for linux/amd64, so the base is too, on any machine.
base=${BASE_IMAGE:-$(sed -n 's/^ARG BASE_IMAGE=//p' Dockerfile)}
case $base in
    *@sha256:*) ;;
    localhost/*) base=$(digest "$base") ;;
    *)  "$engine" pull --quiet --platform linux/amd64 "$base" >/dev/null
        base=$(digest "$base") ;;
esac

tag=${TAG:-petl-ast:$version}
"$engine" build --platform linux/amd64 --tag "$tag" \
    --build-arg BASE_IMAGE="$base" \
    --build-arg GIT_COMMIT="$commit" \
    --build-arg LOCK_HASH="$lock_hash" \
    --build-arg VERSION="$version" \
    "$@" .

echo "built $tag from commit $commit, lock $lock_hash"
echo "to build on the same base again: BASE_IMAGE=$base docker/build.sh"

if [ -n "$archive" ]; then
    # write under a temporary name: nobody should find half an archive
    trap 'rm -f "$archive.part"' EXIT
    case $engine in
        docker) docker save --output "$archive.part" "$tag" ;;
        podman) podman save --quiet --format docker-archive --output "$archive.part" "$tag" ;;
        buildah) buildah push --quiet "$tag" "docker-archive:$archive.part:$tag" ;;
    esac
    mv "$archive.part" "$archive"
    echo "wrote $archive, $(du -h "$archive" | cut -f 1)"
fi
