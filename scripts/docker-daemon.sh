# Sourced after lib.sh: a docker daemon for tests. `find_daemon` takes the one that answers, else starts
# one of our own, whose images stay in build/containers for the next time; `stop_daemon` ends only that.
#
# Our own touches neither packet filter nor forwarding nor the machine's interfaces but the bridges of
# its networks: images are built in the machine's own network, and containers meet on bridges of theirs.

daemon_dir=$root/build/containers
daemon_pid=

# One that a killed run of ours left behind holds the images' folder.
stop_leftover_daemon() {
  [ -f "$daemon_dir/dockerd.pid" ] || return 0
  read -r leftover <"$daemon_dir/dockerd.pid"
  if tr '\0' ' ' <"/proc/$leftover/cmdline" 2>/dev/null | grep -q "^dockerd --data-root $daemon_dir/docker "; then
    kill "$leftover"
    daemon_tries=0
    while kill -0 "$leftover" 2>/dev/null && [ "$daemon_tries" -lt 100 ]; do
      daemon_tries=$((daemon_tries + 1))
      sleep 0.2
    done
  fi
  rm -f "$daemon_dir/dockerd.pid"
}

find_daemon() {
  docker version >/dev/null 2>&1 && return
  [ "$(id -u)" -eq 0 ] ||
    die "no docker daemon answers at ${DOCKER_HOST:-/var/run/docker.sock}: start one (or use sudo, to have one started)"
  [ -z "${DOCKER_HOST:-}" ] || die "no docker daemon answers at $DOCKER_HOST (DOCKER_HOST)"
  stop_leftover_daemon
  # sockets have short paths only
  daemon_run=$(mktemp -d /tmp/lagopus-docker.XXXXXX)
  # 9: the lock of this run, which would outlive it
  dockerd --data-root "$daemon_dir/docker" --exec-root "$daemon_run/exec" --pidfile "$daemon_run/pid" \
    -H "unix://$daemon_run/docker.sock" --bridge none --iptables=false --ip6tables=false \
    --ip-forward=false --ip-masq=false --default-address-pool base=198.18.0.0/16,size=24 \
    >"$root/build/logs/dockerd.log" 2>&1 9>&- &
  daemon_pid=$!
  echo "$daemon_pid" >"$daemon_dir/dockerd.pid"
  DOCKER_HOST=unix://$daemon_run/docker.sock
  export DOCKER_HOST
  daemon_tries=0
  until docker version >/dev/null 2>&1; do
    daemon_tries=$((daemon_tries + 1))
    if [ "$daemon_tries" -gt 150 ] || ! kill -0 "$daemon_pid" 2>/dev/null; then
      tail -n 15 "$root/build/logs/dockerd.log" >&2
      die 'no docker daemon answers, and none can be started here (build/logs/dockerd.log says why)'
    fi
    sleep 0.2
  done
  say "a docker daemon of our own, for this run"
}

stop_daemon() {
  [ -n "$daemon_pid" ] || return 0
  kill "$daemon_pid" 2>/dev/null || true
  wait "$daemon_pid" 2>/dev/null || true
  daemon_pid=
  rm -f "$daemon_dir/dockerd.pid"
  # what it leaves mounted
  awk -v dir="$daemon_run/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | sort -r |
    while read -r mounted; do umount "$mounted"; done
  rm -rf "$daemon_run"
}
