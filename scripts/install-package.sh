#!/bin/sh
# npm's install script of the published package: Node 24 when npm runs on an older one, and the
# native addon. Neither is needed to use the package as a library, so a failure only warns.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
[ ! -d "$root/src" ] || exit 0 # a clone: npm run setup does all this and more
. "$root/scripts/lib.sh"
. "$root/scripts/node.sh"
cd "$root"

(
  node_dir=$(find_node_dir)
  if [ -z "$node_dir" ]; then
    install_node
    node_dir=$(find_node_dir)
  fi
  PATH=$node_dir:$PATH
  export PATH
  command -v gcc >/dev/null || die 'gcc is needed: apt-get install gcc libc6-dev'
  run_step 'native addon' build/logs/native-addon.log sh scripts/build-native.sh
) || say "ipsec-agent will not run yet; put that right, then: sh $root/scripts/install-package.sh"
