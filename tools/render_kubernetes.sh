#!/usr/bin/env bash
# Renders the overlays, for those who want to read or apply them without kustomize, and notes from
# what: so a test can tell on any machine whether they are what the sources say.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../deploy/kubernetes"

digest=$(find base overlays -type f | LC_ALL=C sort | xargs cat | sha256sum | cut -d ' ' -f 1)
mkdir -p rendered
for overlay in overlays/*; do
    rendered=rendered/$(basename "$overlay").yaml
    {
        echo "# Made by make kubernetes. SHA-256 of base and overlays: $digest"
        if command -v kustomize >/dev/null; then kustomize build "$overlay"; else kubectl kustomize "$overlay"; fi
    } >"$rendered"
done
