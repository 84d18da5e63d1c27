#!/bin/sh
# test.sh unit|integration|all [node --test options]: `all` also runs the checks first. Files run one
# after another: integration tests share the machine's two cores with real daemons.
set -eu
what=$1
shift

# A time-out for each test. A test that ran into it may still be at work and keep its file from ending:
# --test-force-exit ends the file once all its tests have an outcome. And a time-out for everything.
run() {
  timeout --foreground 5000 node --test --test-concurrency=1 --test-force-exit \
    --test-timeout="${LAGOPUS_TEST_TIMEOUT_MS:-120000}" "$@"
}

unit_files=$(find test -name "*.test.ts" -not -path "test/integration/*" -not -path "test/conformance/*" \
  -not -path "test/containers/*" | sort)
integration_files=$(find test/integration test/conformance -name "*.test.ts" | sort)

[ "$what" != all ] || sh scripts/check.sh
if [ "$what" != unit ] && [ "$(id -u)" -ne 0 ]; then
  # shellcheck disable=SC2086 # lists of names
  [ "$what" != all ] || run "$@" $unit_files
  echo 'NOT RUN: the integration tests. They make network namespaces and need root.' >&2
  exit 1
fi

case $what in
  unit) files=$unit_files ;;
  integration) files=$integration_files ;;
  all) files="$unit_files $integration_files" ;;
esac
# shellcheck disable=SC2086 # lists of names
run "$@" $files
