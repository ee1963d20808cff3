#!/bin/sh
# tests/bench/pipeline.sh [ROUNDS [STAGES [UNITS [MICRO_BATCH]]]] - how much faster a pipeline of STAGES threads trains a
# deep, balanced MLP than one thread; on a quiet machine. LAMINA_BUILD: the build that is measured.
set -e
rounds=${1:-15} stages=${2:-2} units=${3:-512} batch=${4:-32}
source=$(cd "$(dirname "$0")/../.." && pwd)
build=${LAMINA_BUILD:-$source/build}
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
{
    echo "name: deep"
    echo "inputs: {x: [$units], target: [$units]}"
    echo "layers:"
    for i in 1 2 3 4 5 6 7 8; do
        echo "  - dense: {name: fc$i, units: $units, activation: relu}"
    done
    echo "losses: [mean_squared_error]"
    echo "optimizer: {adam: {learning_rate: 0.000001}}"
} >"$directory/deep.yaml"
"$build/lamina" compile "$directory/deep.yaml" --max-batch="$batch" -o "$directory/deep.so"
"$build/lamina" compile "$directory/deep.yaml" --max-batch="$batch" --partition=auto --stages="$stages" --emit-stages \
    -o "$directory/deep.so"
cc -O2 -std=gnu11 -I"$source/runtime" "$source/tests/bench/pipeline.c" "$build/liblamina.a" -ljansson -lz -lm -lpthread \
    -ldl -o "$directory/pipeline"
"$directory/pipeline" "$directory" "$rounds"
