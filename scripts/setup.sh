#!/bin/sh
# Everything a fresh Debian 12 machine lacks. Safe to repeat; takes a moment when nothing is to do.
# Runs before Node 24 is there: plain sh and the machine's own npm.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/lib.sh"
. "$root/scripts/node.sh"
cd "$root"

mkdir -p build
exec 9>build/setup.lock
flock -n 9 || { say 'waiting for another setup in this folder'; flock 9; }

sh scripts/debian-packages.sh

node_dir=$(find_node_dir)
if [ -z "$node_dir" ]; then
  install_node
  node_dir=$(find_node_dir)
fi
PATH=$node_dir:$PATH
export PATH

key=$(digest package.json package-lock.json)
if ! is_current npm node_modules "$key"; then
  run_step 'npm packages' build/logs/npm.log npm ci --ignore-scripts --no-audit --no-fund
  mark_current npm "$key"
fi

# build NAME OUTPUT SCRIPT VERSION FILE...: runs SCRIPT when OUTPUT is older than what it is made of.
build() {
  build_name=$1 build_output=$2 build_script=$3 build_version=$4
  shift 4
  key=$build_version-$(digest "$build_script" "$@")
  is_current "$build_name" "$build_output" "$key" && return
  run_step "$build_name" "build/logs/$build_name.log" sh "$build_script"
  mark_current "$build_name" "$key"
}

build native-addon build/native/lagopus_native.node scripts/build-native.sh \
  "$(node -v)" $(find native -name '*.[ch]' | sort)

build charon-plugin build/charon-plugin/libstrongswan-kernel-lagopus.so scripts/build-charon-plugin.sh \
  "$(dpkg-query -W -f '${Version}' libstrongswan)" \
  $(find charon-plugin -name '*.[ch]' | sort)

build test-tools build/test-tools/packet-counter scripts/build-test-tools.sh \
  "$(dpkg-query -W -f '${Version}' strongswan-swanctl)" $(find test/support -name '*.c' | sort)
