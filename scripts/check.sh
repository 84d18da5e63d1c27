#!/bin/sh
# Everything that can be checked without running the product: types, lint and layers, the contract's
# style, generated code.
set -eu
echo 'check: types'
tsc -p tsconfig.json
echo 'check: format, lint, layers'
biome check --error-on-warnings .
echo 'check: the contract and the code generated from it'
buf lint
sh scripts/gen.sh --check
