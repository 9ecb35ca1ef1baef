#!/usr/bin/env bash
# Print the first of docker, podman and buildah that is installed and running. With ENGINE set, try only that one.
set -euo pipefail

for engine in ${ENGINE:-docker podman buildah}; do
    if "$engine" info >/dev/null 2>&1; then
        echo "$engine"
        exit
    fi
done
echo "engine.sh: ${ENGINE:-docker, podman or buildah} is not installed, or its service is not running" >&2
exit 2
