#!/bin/sh
# Generates src/proto/gen from proto/; with --check only compares.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
buf generate --output "$fresh"

if [ "${1:-}" = --check ]; then
  diff -ru src/proto/gen "$fresh/src/proto/gen" || {
    echo 'src/proto/gen is out of date: npm run gen' >&2
    exit 1
  }
else
  rm -rf src/proto/gen
  mv "$fresh/src/proto/gen" src/proto/gen
fi
