#!/bin/sh
# From a fresh clone to a trained network in a C program: install, build, train, test, embed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
build=$root/build

"$root/tests/install.sh"
cmake -S "$root" -B "$build" >/dev/null
cmake --build "$build" --parallel "$(nproc)" --target lamina lamina_runtime made_data

"$here/data.sh" "$build"

echo
echo "== training examples/fashion_mlp.yaml on 60,000 images of clothes"
"$build/lamina" train "$here/fashion_mlp.yaml" --out="$build/fashion_mlp" --overwrite

echo
echo "== a C program linked with the generated library"
cmake -S "$here/embed" -B "$build/embed" -DLAMINA_ROOT="$root" -DLAMINA_BUILD="$build" \
    -DNET_DIR="$build/fashion_mlp" >/dev/null
cmake --build "$build/embed"
"$build/embed/classify" "$build/fashion_mlp/weights.safetensors" "$here/data"
