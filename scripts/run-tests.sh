#!/bin/sh
# run-tests.sh SECONDS FILES [node --test options]: one after another, in at most SECONDS. FILES is one word, a
# list of names. Fails as well when a file's outcomes did not all arrive.
set -eu
seconds=$1 files=$2
shift 2
# shellcheck disable=SC2086 # a list of names
LAGOPUS_TEST_FILES=$(printf '%s\n' $files | wc -l)
export LAGOPUS_TEST_FILES
# shellcheck disable=SC2086 # a list of names
exec timeout --foreground "$seconds" node --test --test-concurrency=1 --import ./test/runner/preload.ts \
  --test-reporter=spec --test-reporter-destination=stdout \
  --test-reporter=./test/runner/complete-reports.ts --test-reporter-destination=stderr "$@" $files
