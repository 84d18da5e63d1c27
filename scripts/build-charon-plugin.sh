#!/bin/sh
# Compiles charon-plugin/ for the strongSwan that is installed:
#
#   build/charon-plugin/libstrongswan-kernel-lagopus.so
#   build/plugins/     a copy of charon's plugin folder with ours in it, which tests bind-mount
#
# Debian ships no headers, so they come from its source package, by package lists of our own: the
# machine's apt configuration stays as it is. Safe to repeat.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/lib.sh"
cd "$root"

debian_plugins=/usr/lib/ipsec/plugins
out=build/charon-plugin
tools=.tools/strongswan

installed=$(dpkg-query -W -f '${source:Version}' libstrongswan)
upstream=${installed%%-*}
tarball=$tools/strongswan_$upstream.orig.tar.bz2
source=$out/strongswan-$upstream
headers=$source/src

# private_apt COMMAND...: apt with package lists in .tools that hold sources only
private_apt() {
  private_command=$1
  shift
  "$private_command" -o "Dir::Etc::sourcelist=$root/$tools/apt/source.list" \
    -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$root/$tools/apt/lists" \
    -o APT::Sandbox::User=root "$@"
}

# The archive this machine installs from, else Debian's own.
archive() {
  apt-get indextargets --format '$(REPO_URI) $(SUITE) $(CODENAME)' 'Identifier: Packages' 2>/dev/null |
    awk '$3 !~ /-/ { print $1, $3; found = 1; exit } END { if (!found) print "http://deb.debian.org/debian bookworm" }'
}

fetch_source() {
  mkdir -p "$tools/apt/lists/partial"
  set -- $(archive)
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $1 $2 main" \
    >"$tools/apt/source.list"
  private_apt apt-get update -q
  # a security update has the same upstream tarball as the release, but not always a source there
  version=$(private_apt apt-cache showsrc strongswan |
    awk -v upstream="$upstream-" '$1 == "Version:" && index($2, upstream) == 1 { print $2; exit }')
  [ -n "$version" ] || die "no source package of strongSwan $upstream in $1 $2"
  (cd "$tools" && private_apt apt-get source -q --download-only --only-source "strongswan=$version")
  [ -f "$tarball" ] || die "the source package has no $tarball"
  rm -rf "$tools/apt"
}

# Only config.h is wanted from configure: no output but that, no plugins, no libraries of theirs.
# What the headers look at is the same as in Debian's own build. Above all ME (mediation): without
# it the methods of ike_sa_t are elsewhere.
configure_source() {
  rm -rf "$source"
  mkdir -p "$source"
  tar -xjf "$tarball" -C "$source" --strip-components=1
  (
    cd "$source"
    CONFIG_SHELL=/bin/sh /bin/sh ./configure -q --no-create --disable-defaults --enable-charon \
      --enable-ikev1 --enable-ikev2 --enable-mediation --enable-kdf --with-capabilities=libcap \
      --disable-dependency-tracking
    /bin/sh ./config.status -q config.h
  )
  grep -q '^#define ME ' "$source/config.h" || die 'strongSwan was configured without ME'
}

# strongSwan's idioms: METHOD() has parameters nobody uses, INIT() leaves members out.
compile() {
  gcc -shared -fPIC -O2 -g -std=gnu11 -fvisibility=hidden -fstack-protector-strong \
    -D_FORTIFY_SOURCE=2 -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-parameter \
    -Wno-missing-field-initializers -Wno-sign-compare -Wl,-z,relro,-z,now \
    -include "$source/config.h" -isystem "$headers/libstrongswan" -isystem "$headers/libcharon" \
    -o "$1" charon-plugin/src/*.c
}

[ -f "$tarball" ] || fetch_source

key=$upstream-$(digest scripts/build-charon-plugin.sh)
if ! is_current strongswan-headers "$source/config.h" "$key"; then
  configure_source
  mark_current strongswan-headers "$key"
fi

plugin=$out/libstrongswan-kernel-lagopus.so
key=$installed-$(digest scripts/build-charon-plugin.sh charon-plugin/src/*)
if ! is_current charon-plugin-object "$plugin" "$key"; then
  compile "$plugin.new"
  mv "$plugin.new" "$plugin"
  mark_current charon-plugin-object "$key"
fi

key=$key-$(ls -l "$debian_plugins" | sha256sum | cut -d' ' -f1)
if ! is_current charon-plugins build/plugins "$key"; then
  rm -rf build/plugins.new build/plugins.old
  cp -a "$debian_plugins" build/plugins.new
  cp -a "$plugin" build/plugins.new/
  [ ! -e build/plugins ] || mv build/plugins build/plugins.old
  mv build/plugins.new build/plugins
  rm -rf build/plugins.old
  mark_current charon-plugins "$key"
fi
