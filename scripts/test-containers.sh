#!/bin/sh
# test-containers.sh [node --test options]: builds the images of a gateway and tests them in containers.
# Installs what it needs on Debian, uses the docker daemon that answers or one of its own, and takes
# everything away again but the images in build/containers. Where that is impossible it fails.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/lib.sh"
. "$root/scripts/docker-daemon.sh"
cd "$root"
mkdir -p build/logs build/containers

exec 9>build/containers.lock
flock -n 9 || { say 'waiting for another run in this folder' && flock 9; }

docker version >/dev/null 2>&1 || sh scripts/debian-packages.sh docker.io

tag=test
repository=lagopus-ipsec-agent
targets='stock strongswan client agent dataplane'

# Containers and networks of runs that were killed too: test/containers labels what it makes.
remove_leftovers() {
  label=label=lagopus-ipsec-agent.test
  for kind in container volume network; do
    case $kind in
      container) leftovers=$(docker ps -aq --filter "$label") ;;
      *) leftovers=$(docker "$kind" ls -q --filter "$label") ;;
    esac
    # shellcheck disable=SC2086 # a list of ids
    [ -z "$leftovers" ] || docker "$kind" rm $([ $kind = container ] && echo '-f -v') $leftovers >/dev/null
  done
}

# A daemon that is not ours keeps nothing of us; images of other tags are their owner's. Ours forgets what
# it has not built for a week.
remove_images() {
  if [ -n "$daemon_pid" ]; then
    docker image prune -f --filter until=168h >/dev/null
    return
  fi
  images=$(for reference in "*:$tag" '*:next' 'base-*'; do docker image ls -q "$repository/$reference"; done)
  # shellcheck disable=SC2086 # a list of ids
  [ -z "$images" ] || docker image rm -f $images >/dev/null 2>&1 || true
  docker image prune -f --filter label=lagopus-ipsec-agent.stage >/dev/null
}

clean_up() {
  trap - EXIT
  remove_leftovers || true
  remove_images || true
  stop_daemon
}
trap clean_up EXIT
trap 'exit 130' HUP INT TERM

find_daemon
remove_leftovers
bases=$(sh scripts/container-bases.sh)
for target in $targets; do
  # shellcheck disable=SC2086 # a list of arguments
  run_step "image $target" "build/logs/container-$target.log" \
    docker build --network host --target "$target" -t "$repository/$target:$tag" $bases .
done

# No helper image: leftovers are removed above. No port is published, so the host's name does not matter;
# testcontainers would look for it on a bridge that our daemon has not.
export TESTCONTAINERS_RYUK_DISABLED=true TESTCONTAINERS_HOST_OVERRIDE=localhost LAGOPUS_TAG=$tag
sh scripts/run-tests.sh 900 "$(echo test/containers/*.test.ts)" --test-timeout=240000 "$@"
