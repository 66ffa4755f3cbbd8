#!/bin/sh
# Applies the desired state in manifests/ to the current context: the fleet, and through it every cluster.
set -eu
cd "$(dirname "$0")/.."
if command -v kubectl >/dev/null 2>&1; then
    apply="kubectl apply"
elif command -v kogge >/dev/null 2>&1; then
    apply="kogge apply"
else
    echo "neither kubectl nor kogge is on PATH" >&2
    exit 1
fi
# The namespace first: what lives in it cannot be made before it.
exec $apply -f manifests/namespace.yaml -f manifests/
