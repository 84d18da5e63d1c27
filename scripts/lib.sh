# Sourced by the scripts beside it, which run with any POSIX sh: progress lines and stamps.
# The caller sets `root`, the folder that holds package.json.

say() { printf 'setup: %s\n' "$*" >&2; }

die() {
  say "$*"
  exit 1
}

# run_step LABEL LOG COMMAND...: COMMAND's output goes to LOG; the elapsed time is told every
# five seconds; on failure the end of LOG is shown. The command gets a process group of its own,
# so that an interrupt takes all of it down.
run_step() {
  step_label=$1 step_log=$2
  shift 2
  mkdir -p "$(dirname "$step_log")"
  step_start=$(date +%s)
  say "$step_label ..."
  setsid "$@" >"$step_log" 2>&1 </dev/null 9>&- &
  step_pid=$!
  trap 'kill -TERM -- "-$step_pid" 2>/dev/null; exit 130' INT TERM HUP
  step_ticks=0
  while kill -0 "$step_pid" 2>/dev/null; do
    sleep 0.2
    step_ticks=$((step_ticks + 1))
    [ $((step_ticks % 25)) -eq 0 ] && say "$step_label ... $(($(date +%s) - step_start)) s"
  done
  step_status=0
  wait "$step_pid" || step_status=$?
  trap - INT TERM HUP
  if [ "$step_status" -ne 0 ]; then
    tail -n 40 "$step_log" >&2
    die "$step_label: failed with status $step_status (whole output: $step_log)"
  fi
  say "$step_label: done in $(($(date +%s) - step_start)) s"
}

# digest FILE...: one line that changes with any of the files' names or contents.
digest() { sha256sum -- "$@" | sha256sum | cut -d' ' -f1; }

# is_current NAME OUTPUT KEY: OUTPUT exists and was made from what KEY stands for.
is_current() {
  [ -e "$2" ] || return 1
  [ -f "$root/build/stamps/$1" ] || return 1
  read -r stamp_key <"$root/build/stamps/$1"
  [ "$stamp_key" = "$3" ]
}

# mark_current NAME KEY
mark_current() {
  mkdir -p "$root/build/stamps"
  printf '%s\n' "$2" >"$root/build/stamps/$1"
}
