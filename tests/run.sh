#!/bin/sh
# Install what is missing, build, run all tests: plain, then under AddressSanitizer and UndefinedBehaviorSanitizer.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
jobs=$(nproc)

LAMINA_PACKAGES="clang-format clang-tidy ${LAMINA_PACKAGES:-}" "$root/tests/install.sh"

build_and_test() { # directory, cmake options
    dir=$1
    shift
    cmake -S "$root" -B "$dir" "$@" >/dev/null
    cmake --build "$dir" --parallel "$jobs"
    "$root/examples/data.sh" "$dir"
    (cd "$dir" && ctest --output-on-failure)
}

echo "== style"
"$root/tests/style.sh"
echo "== tests"
build_and_test "$root/build"
echo "== clang-tidy"
"$root/tests/tidy.sh" "$root/build"
echo "== tests under sanitizers"
build_and_test "$root/build-sanitize" -DLAMINA_SANITIZE=ON -DCMAKE_BUILD_TYPE=Debug
