#!/usr/bin/env bash
# Make a virtual environment from lock files and install this project in it:
#   docker/make_env.sh .venv 3.10 docker/requirements.lock docker/requirements-dev.lock
# If the environment is up to date, do nothing; if the files have changed, rebuild it from scratch.
# A *.lock is installed with --require-hashes. Any other file is a list with hashes for PyTorch's CPU index, installed without
# dependencies (requirements-modern.in explains why).
# pip's own settings apply: if your home is small, point PIP_CACHE_DIR to scratch (torch alone is 2 GB).
set -euo pipefail
cd "$(dirname "$0")/.."

env=${1:?usage: make_env.sh DIRECTORY PYTHON_VERSION FILE...} version=$2
shift 2

sha256() { { sha256sum 2>/dev/null || shasum -a 256; } | cut -d ' ' -f 1; }
key="$version $(cat "$@" | sha256) $PWD"      # the path too: a copy imports the original's code
project_key=$(sha256 <pyproject.toml)
is() { [ -x "$env/bin/python" ] && [ "$(cat "$env/$1" 2>/dev/null)" = "$2" ]; }

is .made-from "$key" && is .project-made-from "$project_key" && exit 0

# If another terminal is making the same environment, wait for it.
if command -v flock >/dev/null; then
    exec 9>"$env.lock"
    flock -n 9 || { echo "$env: waiting for another make_env.sh"; flock 9; }
fi

log=$(mktemp) && trap 'rm -f "$log"' EXIT

# Print one line per step, with its seconds. On a terminal, show pip's progress; elsewhere, show its output only if it
# fails.
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

# Use PyTorch's index if it can be reached, else the index that pip is configured for. Importing torch is part of the
# step: an index without CPU builds offers a CUDA torch, which does not load without its dependencies.
install_torch() {
    pip install --no-deps --require-hashes -r "$1" --index-url https://download.pytorch.org/whl/cpu --retries 0 --timeout 15 ||
        pip install --no-deps --require-hashes -r "$1" || return
    "$env/bin/python" -c 'import torch'
}

if ! is .made-from "$key"; then
    python=$(docker/find_python.sh "$version")
    rm -rf "$env"           # half-made or out of date: start from scratch
    step "creating with $python" "$python" -m venv "$env"
    for file in "$@"; do
        case $file in
            *.lock) step "$(grep -c '^[a-z].*==' "$file") packages of $file" install_locked "$file" ;;
            *) step "$(grep -o '^[a-z][^ ]*' "$file"), CPU" install_torch "$file" ;;
        esac
    done
    step "checking that they fit together" "$env/bin/python" -m pip check
    sha256 <"$1" >"$env/lock.sha256"    # results record it, as in an image
    mkdir -p "$env/locks" && cp "$@" "$env/locks/"      # for `petl env --verify`
    echo "$key" >"$env/.made-from"      # last, so that an interrupted attempt is repeated
fi
if ! is .project-made-from "$project_key"; then
    step "this project, editable" pip install --no-deps --no-build-isolation --no-index -e .
    echo "$project_key" >"$env/.project-made-from"
    echo "$env: \`source $env/bin/activate\` puts petl on PATH in this terminal, and"
    echo "$env: \`ln -s $PWD/$env/bin/petl ~/.local/bin/\` in each one, if that folder is on PATH"
fi
