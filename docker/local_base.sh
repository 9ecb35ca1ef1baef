#!/usr/bin/env bash
# Make a base image from Debian's packages and this machine's Python, if no registry can be reached or the base that the
# Dockerfile names is gone:  docker/local_base.sh [TAG]
# Like python:3.10-slim-bookworm it holds glibc, Python's libraries and Python 3.10. It gives the same numbers
# (docs/container.md), but is not the same bytes. Needs root, debootstrap, and a Python that docker/find_python.sh finds.
#   PYTHON=3.11    the Python for `docker/build.sh --stack modern`
#   MIRROR=URL     a mirror of Debian's packages; snapshot.debian.org has those of any day
set -euo pipefail
cd "$(dirname "$0")/.."

version=${PYTHON:-3.10}
tag=${1:-localhost/petl-base:$version-bookworm}
mirror=${MIRROR:-http://deb.debian.org/debian}
engine=$(docker/engine.sh)
command -v debootstrap >/dev/null || { echo "local_base.sh: debootstrap is not installed" >&2; exit 2; }
python=$(docker/find_python.sh "$version")
prefix=$(dirname "$(dirname "$python")")

# The libraries that Python's own modules link to. No compiler, and no pip except the one in venv.
libraries=libbz2-1.0,libcrypt1,libexpat1,libffi8,liblzma5,libncursesw6,libreadline8,libsqlite3-0,libssl3,libuuid1,zlib1g

work=$(mktemp -d) && trap 'rm -rf --one-file-system "$work"' EXIT     # debootstrap may leave /proc mounted there
root=$work/root
debootstrap --variant=minbase --include="ca-certificates,tzdata,$libraries" bookworm "$root" "$mirror" \
    >"$work/log" 2>&1 || { tail -n 5 "$work/log" >&2; exit 1; }
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}/*
: >"$root/etc/hostname"         # debootstrap copies these two from the machine it runs on
: >"$root/etc/resolv.conf"

# The interpreter and its standard library, without installed packages.
mkdir -p "$root/usr/local/bin" "$root/usr/local/lib"
cp "$prefix/bin/python$version" "$root/usr/local/bin/"
ln -s "python$version" "$root/usr/local/bin/python3"
ln -s "python$version" "$root/usr/local/bin/python"
cp -d "$prefix"/lib/libpython3*.so* "$root/usr/local/lib/" 2>/dev/null || true      # some builds have no shared library
tar -C "$prefix/lib" --exclude=site-packages --exclude=__pycache__ --exclude="config-$version*" --exclude=test \
    --exclude=idlelib --exclude=tkinter --exclude='_tkinter*' -cf - "python$version" | tar -C "$root/usr/local/lib" -xf -
mkdir "$root/usr/local/lib/python$version/site-packages"
chroot "$root" ldconfig
chroot "$root" /usr/local/bin/python -c 'import bz2, ctypes, ensurepip, lzma, readline, sqlite3, ssl, venv, zlib'

tar -C "$root" --numeric-owner -cf "$work/root.tar" .
printf 'FROM scratch\nADD root.tar /\nENV PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin\n' \
    >"$work/Dockerfile"
rm -rf "$root"
"$engine" build --quiet --tag "$tag" "$work" >/dev/null
echo "$tag: Debian $(tar -xOf "$work/root.tar" ./etc/debian_version), $("$python" --version)"
echo "build on it: BASE_IMAGE=$tag docker/build.sh"
