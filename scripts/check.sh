#!/bin/sh
# Everything that can be checked without running the product: types, lint and layers, the contract's
# style, generated code.
set -eu
tsc -p tsconfig.json
biome check --error-on-warnings .
buf lint
sh scripts/gen.sh --check
