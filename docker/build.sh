#!/usr/bin/env bash
# Build the image and record its origin in it:
#   docker/build.sh [--stack modern] [--check] [--archive petl.tar] [-- further options for the engine's build]
#   ENGINE=podman        instead of the first of docker, podman, buildah that answers
#   TAG=name:tag         instead of petl-ast:<version>, or petl-ast:<version>-modern
#   BASE_IMAGE=name@...  another base image, or the digest that an earlier build printed, to build that image again
# --stack modern builds the image with a current torch, for GPUs that the pinned one has no kernels for.
# --check builds a second time, from nothing, and fails if a file of the packages or the code differs.
# --archive also writes the image to a file, to keep and to convert for a cluster (docs/container.md).
set -euo pipefail

archive='' check='' stack=pinned
while [ $# -gt 0 ]; do
    case $1 in
        --archive) archive=$(realpath -m "${2:?--archive needs a file}"); shift 2 ;;
        --check) check=yes; shift ;;
        --stack) stack=${2:?--stack needs a name, pinned or modern}; shift 2 ;;
        --) shift; break ;;
        *)  echo "build.sh: unknown option $1; options for the engine come after --" >&2; exit 2 ;;
    esac
done
case $stack in
    pinned) lock=requirements.lock python=3.10 suffix='' ;;
    modern) lock=requirements-modern-cuda.lock python=3.11 suffix=-modern ;;
    *)  echo "build.sh: unknown stack $stack; it can be pinned, modern" >&2; exit 2 ;;
esac
[ ! -e "$archive" ] || { echo "build.sh: $archive already exists; move it or choose another name" >&2; exit 2; }

cd "$(dirname "$0")/.."
engine=$(docker/engine.sh)
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' petl/__init__.py)
commit=$(git rev-parse HEAD)
[ -z "$(git status --porcelain)" ] || commit+=-dirty       # untracked files count: the image contains them
lock_hash=$(sha256sum docker/$lock | cut -d ' ' -f 1)
again='' work=$(mktemp -d)
trap 'rm -rf "$work" ${archive:+"$archive.part"}; [ -z "$again" ] || "$engine" rmi "$again" >/dev/null' EXIT

# The digest of a base image that local_base.sh made, or its id if the engine keeps no digest.
digest() {
    case $engine in
        buildah) echo "$(sed 's/:[^:/]*$//' <<<"$1")@$(buildah inspect -t image -f '{{.FromImageDigest}}' "$1")" ;;
        *)  "$engine" image inspect --format '{{if .RepoDigests}}{{index .RepoDigests 0}}{{else}}{{.Id}}{{end}}' "$1" ;;
    esac
}

# A tag can move, a digest cannot. The wheels are for linux/amd64, so the base is too, on any machine.
base=${BASE_IMAGE:-python:$python-slim-bookworm}
case $base in
    *@sha256:*) ;;
    localhost/*) base=$(digest "$base") ;;
    *)  "$engine" pull --quiet --platform linux/amd64 "$base" >/dev/null
        base=$(digest "$base") ;;
esac

tag=${TAG:-petl-ast:$version$suffix}
build() {
    "$engine" build --platform linux/amd64 \
        --build-arg BASE_IMAGE="$base" \
        --build-arg STACK="$stack" \
        --build-arg LOCK="$lock" \
        --build-arg GIT_COMMIT="$commit" \
        --build-arg LOCK_HASH="$lock_hash" \
        --build-arg VERSION="$version" \
        "$@" .
}
build --tag "$tag" "$@"

echo "built $tag from commit $commit, lock $lock_hash"
echo "to build on the same base again: BASE_IMAGE=$base docker/build.sh --stack $stack"

# files_of IMAGE: the hash of every file in its environment, Python's caches left out.
files_of() {
    local container
    if [ "$engine" = buildah ]; then
        container=$(buildah from --pull-never "$1")
        cat "$(buildah mount "$container")/opt/petl/venv/files.sha256"
    else
        container=$("$engine" create "$1")
        "$engine" cp "$container:/opt/petl/venv/files.sha256" - | tar -xO
    fi
    "$engine" rm "$container" >/dev/null
}

if [ -n "$check" ]; then
    build --no-cache --target builder --tag "$tag-again" "$@"
    again=$tag-again
    files_of "$tag" >"$work/first"
    files_of "$again" >"$work/second"
    if ! cmp -s "$work/first" "$work/second"; then
        echo "build.sh: two builds of commit $commit differ in these files:" >&2
        diff "$work/first" "$work/second" | sed -n 's/^[<>] [0-9a-f]*  /  /p' | sort -u | head -n 20 >&2
        exit 1
    fi
    echo "two builds have the same $(wc -l <"$work/first") files: $(sha256sum <"$work/first" | cut -c 1-16)"
fi

if [ -n "$archive" ]; then
    # write under a temporary name: nobody should find half an archive
    case $engine in
        docker) docker save --output "$archive.part" "$tag" ;;
        podman) podman save --quiet --format docker-archive --output "$archive.part" "$tag" ;;
        buildah) buildah push --quiet "$tag" "docker-archive:$archive.part:$tag" ;;
    esac
    mv "$archive.part" "$archive"
    echo "wrote $archive, $(du -h "$archive" | cut -f 1)"
fi
