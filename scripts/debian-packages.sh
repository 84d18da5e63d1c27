#!/bin/sh
# debian-packages.sh [PACKAGE...]: installs what the machine lacks of these, or of what debian-packages.txt
# lists; as an ordinary user, says how.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/lib.sh"

command -v dpkg-query >/dev/null ||
  die "this machine has no dpkg; install ${*:-what scripts/debian-packages.txt names} by other means"

arch=$(dpkg --print-architecture)
if [ $# -gt 0 ]; then
  wanted=$(printf '%s\n' "$@" | sort)
else
  wanted=$(sed 's/#.*//' "$root/scripts/debian-packages.txt" |
    awk -v arch="$arch" 'NF == 1 || $2 == arch { print $1 }' | sort)
fi
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | awk '$1 == "installed" { print $2 }' | sort -u)
missing=$(printf '%s\n' "$wanted" "$installed" "$installed" | sort | uniq -u | tr '\n' ' ')
missing=${missing% }
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
  say 'Debian packages are missing. Install them, then run this again:'
  say "  sudo apt-get update && sudo apt-get install --no-install-recommends $missing"
  exit 1
fi

# Somebody who runs tests did not ask for an IKE daemon on the machine: services of packages that
# come in here are neither started (policy-rc.d) nor left enabled for the next boot.
policy=/usr/sbin/policy-rc.d
own_policy=
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  own_policy=$policy
fi
trap '[ -z "$own_policy" ] || rm -f "$own_policy"' EXIT
# A signal alone would end this shell without that.
trap 'exit 130' HUP INT TERM

export DEBIAN_FRONTEND=noninteractive
run_step 'Debian package lists' "$root/build/logs/apt-update.log" apt-get update -q
say "Debian packages to install: $missing"
# --no-remove: another IKE daemon (Libreswan) conflicts with strongSwan; it is not ours to remove.
# shellcheck disable=SC2086 # a list of names
run_step 'Debian packages' "$root/build/logs/apt-install.log" \
  apt-get install -q -y --no-remove --no-install-recommends $missing

case " $missing " in
  *' charon-systemd '*)
    if command -v systemctl >/dev/null; then
      systemctl --quiet disable strongswan.service
    else
      rm -f /etc/systemd/system/multi-user.target.wants/strongswan.service \
        /etc/systemd/system/strongswan-swanctl.service
    fi
    say 'strongSwan is installed but its service is not enabled (systemctl enable --now strongswan)'
    ;;
esac
case " $missing " in
  *' docker.io '*)
    for unit in docker.service docker.socket containerd.service; do
      if command -v systemctl >/dev/null; then
        systemctl --quiet disable "$unit"
      else
        rm -f "/etc/systemd/system/multi-user.target.wants/$unit" \
          "/etc/systemd/system/sockets.target.wants/$unit"
      fi
    done
    say 'docker is installed but its service is not enabled (systemctl enable --now docker)'
    ;;
esac
