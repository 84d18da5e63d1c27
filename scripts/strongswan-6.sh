#!/bin/sh
# Unpacks Debian 13's strongSwan 6 with the libraries it needs into .tools/strongswan-6/root, for
# tests against both versions: fetched once, about 8 MB. Nothing of it is installed, and the machine's
# apt configuration stays as it is. Safe to repeat.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/lib.sh"
cd "$root"

tools=.tools/strongswan-6
packages='charon-systemd strongswan-swanctl libcharon-extra-plugins libstrongswan-standard-plugins'

# trixie_apt COMMAND...: apt for an empty Debian 13, with lists and archives of our own.
trixie_apt() {
  trixie_command=$1
  shift
  "$trixie_command" -o "Dir::Etc::sourcelist=$root/$tools/apt/source.list" \
    -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
    -o "Dir::State=$root/$tools/apt" -o "Dir::State::status=$root/$tools/apt/status" \
    -o "Dir::Cache=$root/$tools/apt" -o APT::Sandbox::User=root -o Debug::NoLocking=1 \
    -o APT::Install-Recommends=0 -o Acquire::Retries=2 "$@"
}

# The archive this machine installs from, else Debian's own.
archive() {
  apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Identifier: Packages' 2>/dev/null |
    awk '$2 !~ /-/ { print $1; found = 1; exit } END { if (!found) print "http://deb.debian.org/debian" }'
}

fetch() {
  rm -rf "$tools"
  mkdir -p "$tools/apt/lists/partial" "$tools/apt/archives/partial" "$tools/new"
  : >"$tools/apt/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(archive) trixie main" \
    >"$tools/apt/source.list"
  trixie_apt apt-get update -q
  # shellcheck disable=SC2086 # a list of names
  trixie_apt apt-get install -q -y --download-only $packages
  # Debian 13 has merged /usr; the package that says so is not among these.
  for folder in bin sbin lib lib64; do
    mkdir -p "$tools/new/usr/$folder"
    ln -s "usr/$folder" "$tools/new/$folder"
  done
  for archive in "$tools"/apt/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$archive" | tar -x --keep-directory-symlink -C "$tools/new"
  done
  mkdir -p "$tools/new/dev" "$tools/new/proc" "$tools/new/sys" "$tools/new/run" "$tools/new/tmp"
  rm -rf "$tools/apt"
  mv "$tools/new" "$tools/root"
}

if [ "${1:-}" = --fetch ]; then
  fetch
  exit 0
fi

mkdir -p build
exec 9>build/strongswan-6.lock
flock 9
[ ! -x "$tools/root/usr/sbin/charon-systemd" ] || exit 0
command -v dpkg-deb >/dev/null && command -v apt-get >/dev/null ||
  die 'strongSwan 6 for tests comes from Debian packages: this machine has no dpkg and apt'
run_step 'strongSwan 6 (Debian 13) into .tools/' build/logs/strongswan-6.log sh scripts/strongswan-6.sh --fetch
