#!/bin/sh
# Compiles native/*.c into build/native/lagopus_native.node against the headers that came with the
# running Node: its N-API, and the OpenSSL it carries and exports. Link-time optimization takes the calls
# between the files out of a packet's path.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

include=$(node -p 'require("node:path").resolve(require("node:fs").realpathSync(process.execPath), "../../include/node")')
if [ ! -f "$include/node_api.h" ] || [ ! -f "$include/openssl/evp.h" ]; then
  echo "no Node headers in $include" >&2
  exit 1
fi

mkdir -p build/native
gcc -shared -fPIC -O2 -flto=auto -g -std=gnu11 -fvisibility=hidden -Wall -Wextra -DNAPI_VERSION=9 \
  -I"$include" -o build/native/lagopus_native.node.new native/*.c
mv build/native/lagopus_native.node.new build/native/lagopus_native.node
