#!/usr/bin/env bash
# Print the first of docker, podman and buildah that is installed and answers; with ENGINE set, that one or nothing.
set -euo pipefail

for engine in ${ENGINE:-docker podman buildah}; do
    if "$engine" info >/dev/null 2>&1; then
        echo "$engine"
        exit
    fi
done
echo "engine.sh: ${ENGINE:-none of docker, podman, buildah} answers here; is it installed, is its service running?" >&2
exit 2
