#!/bin/sh
# clang-tidy finds nothing (.clang-tidy says what it looks for). tidy.sh BUILD, a configured build directory.
# Programs in examples/*/ include headers that lamina makes: tests build them with warnings as errors.
set -eu
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
[ -f "$build/compile_commands.json" ] || { echo "tidy: expected $build/compile_commands.json, found none"; exit 1; }

# On stderr it counts what it found in system headers; that matters only where it fails.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! git ls-files 'frontend/*.c' 'ir/*.c' 'passes/*.c' 'backend/*.c' 'runtime/*.c' 'examples/*.c' ':!examples/*/*.c' |
    xargs -n 1 -P "$(nproc)" clang-tidy -p "$build" --quiet 2>"$log"; then
    grep -v 'warnings* generated' "$log" || true
    echo "tidy: findings"
    exit 1
fi
