#!/bin/sh
# test.sh unit|integration|all [node --test options]: `all` also runs the checks first. Files run one
# after another: integration tests share the machine's two cores with real daemons. LAGOPUS_TRIES=15 tries random
# input fifteen times as often, LAGOPUS_TEST_TIMEOUT_MS gives the tests the time for it.
set -eu
what=$1
shift

# run FILES [node --test options]
run() {
  files=$1
  shift
  sh scripts/run-tests.sh 5000 "$files" --test-timeout="${LAGOPUS_TEST_TIMEOUT_MS:-120000}" "$@"
}

unit_files=$(find test -name "*.test.ts" -not -path "test/integration/*" -not -path "test/conformance/*" \
  -not -path "test/containers/*" | sort)
integration_files=$(find test/integration test/conformance -name "*.test.ts" | sort)

[ "$what" != all ] || sh scripts/check.sh
if [ "$what" != unit ] && [ "$(id -u)" -ne 0 ]; then
  [ "$what" != all ] || run "$unit_files" "$@"
  echo 'NOT RUN: the integration tests. They make network namespaces and need root.' >&2
  exit 1
fi

case $what in
  unit) files=$unit_files ;;
  integration) files=$integration_files ;;
  all) files="$unit_files $integration_files" ;;
esac
run "$files" "$@"
