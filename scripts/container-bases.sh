#!/bin/sh
# container-bases.sh: prints the base images for the Dockerfile as build arguments. They are the public
# ones where the docker daemon has them or a registry answers, else images made here from Debian's
# packages and npm's, which are kept in build/containers.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/lib.sh"
. "$root/scripts/node.sh"
cd "$root"

out=build/containers
npm_version=11.6.2
# What the Dockerfile takes by default.
debian_image=$(sed -n 's/^ARG DEBIAN_IMAGE=//p' Dockerfile)
node_image=$(sed -n 's/^ARG NODE_IMAGE=//p' Dockerfile)

has_image() { docker image inspect "$1" >/dev/null 2>&1; }

if { has_image "$debian_image" || timeout 120 docker pull -q "$debian_image"; } >&2 2>"$out/pull.log" &&
  { has_image "$node_image" || timeout 300 docker pull -q "$node_image"; } >&2 2>>"$out/pull.log"; then
  exit 0
fi

# The archives this machine installs Debian 12 from, else Debian's own.
sources() {
  apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Identifier: Packages' 'Origin: Debian' |
    awk '$2 ~ /^bookworm/ && $3 == "main" { print; found = 1 }
      END { if (!found) {
        print "http://deb.debian.org/debian bookworm main"
        print "http://deb.debian.org/debian-security bookworm-security main"
      } }' | sort -u | sed 's|^|deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] |'
}

# As small as the public image: no manuals, no translations, no lists, no caches.
debian_base() {
  sources >"$out/debian.list"
  mmdebstrap -q --variant=apt --mode=root --format=tar --include=ca-certificates \
    --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    bookworm "$out/debian.tar.new" "$out/debian.list"
  mv "$out/debian.tar.new" "$out/debian.tar"
}

# Node and npm where the public image has them, and the authorities this machine trusts.
node_base() {
  rm -rf "$out/node-base"
  mkdir -p "$out/node-base/local/lib" "$out/node-base/npm"
  [ -d ".tools/node_modules/$node_package" ] || install_node
  cp -a ".tools/node_modules/$node_package/bin" ".tools/node_modules/$node_package/include" \
    "$out/node-base/local/"
  npm install --prefix "$out/node-base/npm" --global=false --no-package-lock --no-audit --no-fund \
    "npm@$npm_version"
  mv "$out/node-base/npm/node_modules" "$out/node-base/local/lib/"
  rm -rf "$out/node-base/npm"
  ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$out/node-base/local/bin/npm"
  cp -L "${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}" "$out/node-base/ca.crt"
  {
    echo "FROM $local_debian"
    echo 'COPY local /usr/local'
    echo 'COPY ca.crt /usr/local/share/ca-certificates/machine.pem'
    echo 'ENV NODE_EXTRA_CA_CERTS=/usr/local/share/ca-certificates/machine.pem'
  } >"$out/node-base/Dockerfile"
  docker build -q --network host -t "$local_node" "$out/node-base"
  rm -rf "$out/node-base"
}

key=$(digest scripts/container-bases.sh scripts/node.sh | cut -c1-12)
local_debian=lagopus-ipsec-agent/base-debian:$key
local_node=lagopus-ipsec-agent/base-node:$key
export out local_debian local_node root

case ${1:-} in
  debian) debian_base && exit ;;
  node) node_base && exit ;;
esac
if ! has_image "$local_debian"; then
  say "no public base images ($(tail -n 1 "$out/pull.log")): making them from packages"
  sh scripts/debian-packages.sh mmdebstrap
  is_current container-debian "$out/debian.tar" "$key" || {
    run_step 'Debian base image' build/logs/container-debian.log sh scripts/container-bases.sh debian
    mark_current container-debian "$key"
  }
  docker import "$out/debian.tar" "$local_debian" >&2
fi
has_image "$local_node" ||
  run_step 'Node base image' build/logs/container-node.log sh scripts/container-bases.sh node
echo "--build-arg DEBIAN_IMAGE=$local_debian --build-arg NODE_IMAGE=$local_node"
