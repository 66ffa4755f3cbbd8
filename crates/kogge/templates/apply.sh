#!/bin/sh
# Applies the desired state in manifests/ to the current context: the fleet, and through it every cluster.
set -eu
cd "$(dirname "$0")/.."
if command -v kubectl >/dev/null 2>&1; then
    apply="kubectl apply"
    # Where kubectl knows no context, the fleet of `kogge up` is meant.
    if [ -z "${KUBECONFIG:-}" ] && ! kubectl config current-context >/dev/null 2>&1; then
        for it in ../kubeconfig "${XDG_DATA_HOME:-$HOME/.local/share}/kogge/kubeconfig"; do
            if [ -f "$it" ]; then
                export KUBECONFIG="$it"
                break
            fi
        done
    fi
elif command -v kogge >/dev/null 2>&1; then
    apply="kogge apply"
    # `kogge` finds the fleet of `kogge up` by itself, unless that is kept elsewhere.
    if [ -z "${KUBECONFIG:-}" ] && [ -f ../kubeconfig ]; then
        export KUBECONFIG=../kubeconfig
    fi
else
    echo "neither kubectl nor kogge is on PATH" >&2
    exit 1
fi
# The namespace first: what lives in it cannot be made before it.
exec $apply -f manifests/namespace.yaml -f manifests/
