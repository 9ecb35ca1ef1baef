#!/usr/bin/env bash
# Print the path of a Python interpreter of one minor version:  docker/find_python.sh 3.10
# It looks in PATH, pyenv and conda environments, then downloads one (conda, else uv) into .python/ in this checkout.
# PETL_PYTHON_DOWNLOAD=0 turns the download off.
set -euo pipefail

version=${1:?usage: find_python.sh MAJOR.MINOR, such as 3.10}
store="$(cd "$(dirname "$0")/.." && pwd)/.python"      # not in $HOME: cluster homes are small
log=$(mktemp) && trap 'rm -f "$log"' EXIT

# A file is not enough: pyenv's shims exist but may refuse to run, and some distributions package venv separately.
# Print the base interpreter: an activated environment may be the one that is about to be rebuilt.
probe() {
    "$1" -c "
import ensurepip, sys, venv
assert sys.version.startswith('$version.')
print(sys.base_prefix + '/bin/python$version')" 2>/dev/null
}

try() { probe "$1" && exit 0 || return 0; }

all_on_path() { type -aP "$1" || true; }

for candidate in $(all_on_path "python$version") $(all_on_path python3); do try "$candidate"; done

for candidate in $(ls -d "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".* 2>/dev/null | sort -rV); do
    try "$candidate/bin/python"
done

try_store() { for candidate in "$store"/*/bin/python "$store"/*/*/bin/python; do try "$candidate"; done; }
try_store

if command -v conda >/dev/null; then
    while read -r prefix; do try "$prefix/bin/python"; done \
        < <(conda env list 2>/dev/null | awk '!/^#/ && NF { print $NF }')
fi

tried="python$version on PATH, pyenv, conda environments"
if [ "${PETL_PYTHON_DOWNLOAD:-1}" != 0 ]; then
    echo "Python $version is not installed here; downloading one into $store" >&2
    if command -v conda >/dev/null; then
        tried+=", conda create"
        conda create --yes --quiet --prefix "$store/conda-$version" "python=$version" >"$log" 2>&1 || true
        try_store
    fi
    tried+=", uv's download"
    uv=$(command -v uv || echo "$store/uv/bin/uv")
    {
        [ -x "$uv" ] || { python3 -m venv "$store/uv" &&
            "$store/uv/bin/python" -m pip install --quiet --require-hashes -r "$(dirname "$0")/uv.txt"; }
        UV_PYTHON_INSTALL_DIR="$store/cpython" "$uv" python install --no-progress --no-bin "$version"
    } >>"$log" 2>&1 || true
    try_store
    tail -n 3 "$log" >&2
fi

echo "find_python: no Python $version with venv (tried: $tried). Install one, for example" \
     "\`pyenv install $version\` or \`conda create -n py$version python=$version\`, and run this again." >&2
exit 2
