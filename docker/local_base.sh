#!/usr/bin/env bash
# Make a base image from Debian's packages and a Python of this machine, where no registry can be reached or the
# one that the Dockerfile names is gone:  docker/local_base.sh [TAG]
# It is glibc, Python's libraries and Python 3.10, as python:3.10-slim-bookworm is, and gives the same numbers
# (docs/container.md); it is not the same bytes. Needs root, debootstrap, and what docker/find_python.sh can find.
#   MIRROR=URL     of Debian's packages; one of snapshot.debian.org gives those of a day of your choice
set -euo pipefail
cd "$(dirname "$0")/.."

tag=${1:-localhost/petl-base:3.10-bookworm}
mirror=${MIRROR:-http://deb.debian.org/debian}
engine=$(docker/engine.sh)
command -v debootstrap >/dev/null || { echo "local_base.sh: debootstrap is not installed" >&2; exit 2; }
python=$(docker/find_python.sh 3.10)
prefix=$(dirname "$(dirname "$python")")

# What Python's own modules are linked against; no compiler, no pip but the one that venv brings.
libraries=libbz2-1.0,libcrypt1,libexpat1,libffi8,liblzma5,libncursesw6,libreadline8,libsqlite3-0,libssl3,libuuid1,zlib1g

work=$(mktemp -d) && trap 'rm -rf --one-file-system "$work"' EXIT     # debootstrap may have left /proc there
root=$work/root
debootstrap --variant=minbase --include="ca-certificates,tzdata,$libraries" bookworm "$root" "$mirror" \
    >"$work/log" 2>&1 || { tail -n 5 "$work/log" >&2; exit 1; }
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}/*
: >"$root/etc/hostname"         # debootstrap copies these two from the machine it runs on
: >"$root/etc/resolv.conf"

# The interpreter and its library, and nothing that was installed into them.
mkdir -p "$root/usr/local/bin" "$root/usr/local/lib"
cp "$prefix/bin/python3.10" "$root/usr/local/bin/"
ln -s python3.10 "$root/usr/local/bin/python3"
ln -s python3.10 "$root/usr/local/bin/python"
cp -d "$prefix"/lib/libpython3*.so* "$root/usr/local/lib/" 2>/dev/null || true      # some are linked without one
tar -C "$prefix/lib" --exclude=site-packages --exclude=__pycache__ --exclude='config-3.10*' --exclude=test \
    --exclude=idlelib --exclude=tkinter --exclude='_tkinter*' -cf - python3.10 | tar -C "$root/usr/local/lib" -xf -
mkdir "$root/usr/local/lib/python3.10/site-packages"
chroot "$root" ldconfig
chroot "$root" /usr/local/bin/python -c 'import bz2, ctypes, ensurepip, lzma, readline, sqlite3, ssl, venv, zlib'

tar -C "$root" --numeric-owner -cf "$work/root.tar" .
printf 'FROM scratch\nADD root.tar /\nENV PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin\n' \
    >"$work/Dockerfile"
rm -rf "$root"
"$engine" build --quiet --tag "$tag" "$work" >/dev/null
echo "$tag: Debian $(tar -xOf "$work/root.tar" ./etc/debian_version), $("$python" --version)"
echo "build on it: BASE_IMAGE=$tag docker/build.sh"
