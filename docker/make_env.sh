#!/usr/bin/env bash
# Make a virtual environment from lock files, with this project installed in it:
#   docker/make_env.sh .venv 3.10 docker/requirements.lock docker/requirements-dev.lock
# Nothing happens when it is already what the files say; it is rebuilt from nothing when they changed.
# A *.lock is installed with --require-hashes. Any other file is a list for PyTorch's CPU index, installed without
# dependencies (requirements-modern.in says why).
# pip's own settings apply: on a small home, PIP_CACHE_DIR should point to scratch (torch alone is 2 GB).
set -euo pipefail
cd "$(dirname "$0")/.."

env=${1:?usage: make_env.sh DIRECTORY PYTHON_VERSION FILE...} version=$2
shift 2

sha256() { { sha256sum 2>/dev/null || shasum -a 256; } | cut -d ' ' -f 1; }
key="$version $(cat "$@" | sha256) $PWD"      # the path too: a copied checkout would import the original's code
project_key=$(sha256 <pyproject.toml)
is() { [ -x "$env/bin/python" ] && [ "$(cat "$env/$1" 2>/dev/null)" = "$2" ]; }

is .made-from "$key" && is .project-made-from "$project_key" && exit 0

# Two terminals, one environment: the second waits, then finds it made.
if command -v flock >/dev/null; then
    exec 9>"$env.lock"
    flock -n 9 || { echo "$env: waiting for another make_env.sh"; flock 9; }
fi

log=$(mktemp) && trap 'rm -f "$log"' EXIT

# One line per step, with its seconds. On a terminal pip's own progress shows; elsewhere its output appears only
# if it fails.
step() {
    local title=$1 start=$SECONDS
    shift
    if [ -t 1 ]; then
        printf '%s: %s ...\n' "$env" "$title"
        "$@" || return
        printf '%s: %s ... ' "$env" "$title"
    else
        printf '%s: %s ... ' "$env" "$title"
        "$@" >"$log" 2>&1 || { printf 'failed\n'; cat "$log"; return 1; }
    fi
    printf '%d s\n' $((SECONDS - start))
}

quiet=$([ -t 1 ] || echo --quiet)
pip() { "$env/bin/python" -m pip --disable-pip-version-check "$@" $quiet; }

install_locked() { pip install --require-hashes --only-binary :all: --no-deps -r "$1"; }

# PyTorch's index where it can be reached; otherwise what this machine's pip is configured for. The import is part
# of the step because an index without CPU builds offers a CUDA torch, which cannot load without its dependencies.
install_torch() {
    pip install --no-deps -r "$1" --index-url https://download.pytorch.org/whl/cpu --retries 0 --timeout 15 ||
        pip install --no-deps -r "$1" || return
    "$env/bin/python" -c 'import torch'
}

if ! is .made-from "$key"; then
    python=$(docker/find_python.sh "$version")
    rm -rf "$env"           # half-made or out of date: a rebuilt one has no leftovers
    step "creating with $python" "$python" -m venv "$env"
    for file in "$@"; do
        case $file in
            *.lock) step "$(grep -c '^[a-z].*==' "$file") packages of $file" install_locked "$file" ;;
            *) step "$(grep '^[a-z]' "$file"), CPU" install_torch "$file" ;;
        esac
    done
    step "checking that they fit together" "$env/bin/python" -m pip check
    sha256 <"$1" >"$env/lock.sha256"    # results record it, as they do an image's
    echo "$key" >"$env/.made-from"      # last, so that an attempt killed before this line is made again
fi
if ! is .project-made-from "$project_key"; then
    step "this project, editable" pip install --no-deps --no-build-isolation --no-index -e .
    echo "$project_key" >"$env/.project-made-from"
fi
