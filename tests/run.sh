#!/bin/sh
# Install what is missing, build, and run all tests: plain, then under AddressSanitizer and UndefinedBehaviorSanitizer.
# Suites run side by side, one for each core. tests/README.md says what runs where.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
jobs=$(nproc)

LAMINA_PACKAGES="clang-format clang-tidy ${LAMINA_PACKAGES:-}" "$root/tests/install.sh"

build() { # directory, cmake options
    dir=$1
    shift
    cmake -S "$root" -B "$dir" "$@" >/dev/null
    cmake --build "$dir" --parallel "$jobs"
    "$root/examples/data.sh" "$dir"
}
run_tests() { # directory
    (cd "$1" && ctest --output-on-failure --parallel "$jobs")
}

echo "== style"
"$root/tests/style.sh"
echo "== tests"
build "$root/build"
run_tests "$root/build"
echo "== clang-tidy"
"$root/tests/tidy.sh" "$root/build"
echo "== tests under sanitizers"
build "$root/build-sanitize" -DLAMINA_SANITIZE=ON -DCMAKE_BUILD_TYPE=Debug
run_tests "$root/build-sanitize"
