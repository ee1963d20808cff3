#!/bin/sh
# Make the examples' data: links to Debian's Fashion-MNIST files, and small regression sets. data.sh [BUILD]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${1:-$here/../build}
mkdir -p "$here/data"
for file in $(dpkg -L dataset-fashion-mnist | grep -- '-ubyte'); do
    ln -sf "$file" "$here/data/$(basename "$file")"
done
[ -f "$here/data/linear-test-y.idx" ] || "$build/linear_data" "$here/data"
