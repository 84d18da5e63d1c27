#!/bin/sh
# Compiles the C programs of test/support into build/test-tools/, and a library for User-mode Linux.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
mkdir -p build/test-tools
for source in test/support/*.c; do
  gcc -O2 -std=gnu11 -Wall -Wextra -o "build/test-tools/$(basename "$source" .c)" "$source"
done

# User-mode Linux, which needs this, exists for amd64 only.
if [ "$(uname -m)" = x86_64 ]; then
  gcc -shared -fPIC -O2 -std=gnu11 -Wall -Wextra -o build/test-tools/uml-xstate.so \
    test/support/preload/uml-xstate.c
fi

# AppArmor, where it is on, confines /usr/sbin/swanctl to /etc/swanctl and /run: the tests' daemons
# live elsewhere, and a profile follows the path.
cp /usr/sbin/swanctl build/test-tools/swanctl.new
mv build/test-tools/swanctl.new build/test-tools/swanctl
