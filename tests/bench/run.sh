#!/bin/sh
# Measure Lamina beside its peers: run.sh [--pypi] [options of bench.py]. LAMINA_BUILD names another build directory.
# Installs nothing, except with --pypi: a current PyTorch and JAX into build/bench/, which later runs find there.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${LAMINA_BUILD:-$root/build}
tools=$build/bench
mkdir -p "$tools"

cmake -S "$root" -B "$build" >/dev/null
cmake --build "$build" --parallel "$(nproc)" --target lamina lamina_runtime >&2
for tool in step gemm; do
    cc -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -I"$root" "$here/$tool.c" "$build/liblamina.a" \
        $(pkg-config --cflags --libs openblas jansson zlib) -lm -lpthread -ldl -o "$tools/$tool"
done
rm -f "$tools/onednn" # that of another day may be of a library that is gone
cc -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -I"$root" "$here/onednn.c" -ldnnl -lm \
    -o "$tools/onednn" 2>"$tools/onednn.txt" ||
    echo "bench: no oneDNN 2 (Debian: libdnnl-dev), see $tools/onednn.txt" >&2

if [ "${1:-}" = --pypi ]; then
    shift
    for package in torch jax; do
        [ -d "$tools/venv-$package" ] || python3 -m venv "$tools/venv-$package"
        "$tools/venv-$package/bin/pip" install --quiet numpy "$package" || echo "bench: no $package from PyPI" >&2
    done
fi
exec python3 "$here/bench.py" --lamina="$build/lamina" --build="$tools" "$@"
