#!/bin/sh
# with-setup.sh COMMAND...: runs setup (a moment when nothing is to do), then COMMAND with the
# project's Node and node_modules/.bin first in PATH.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
if [ "${LAGOPUS_SETUP_ROOT:-}" != "$root" ]; then
  sh "$root/scripts/setup.sh"
  . "$root/scripts/lib.sh"
  . "$root/scripts/node.sh"
  PATH=$(find_node_dir):$root/node_modules/.bin:$PATH
  LAGOPUS_SETUP_ROOT=$root
  export PATH LAGOPUS_SETUP_ROOT
fi
cd "$root"
exec "$@"
