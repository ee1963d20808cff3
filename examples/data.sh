#!/bin/sh
# Make the examples' data: links to Debian's Fashion-MNIST files, sets that a program writes, and the table of penguins.
# data.sh [BUILD]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${1:-$here/../build}
mkdir -p "$here/data"
for file in $(dpkg -L dataset-fashion-mnist | grep -- '-ubyte'); do
    ln -sf "$file" "$here/data/$(basename "$file")"
done
[ -f "$here/data/wide-test-label.idx" ] || "$build/made_data" "$here/data"

# The package depends on all of R, of which only a table is wanted: so it is unpacked rather than installed.
fetch_penguins() {
    cd "$(mktemp -d)"
    if apt-get download -qq r-cran-palmerpenguins >/dev/null 2>&1; then
        dpkg-deb --fsys-tarfile r-cran-palmerpenguins*.deb | tar -xO --wildcards '*/extdata/penguins.csv' >penguins.csv &&
            mv penguins.csv "$here/data/penguins.csv"
    fi
    rm -rf "$PWD"
}
installed=$(dpkg -L r-cran-palmerpenguins 2>/dev/null | grep '/extdata/penguins\.csv$' || true)
[ -z "$installed" ] || ln -sf "$installed" "$here/data/penguins.csv"
[ -e "$here/data/penguins.csv" ] || (fetch_penguins) || true
[ -e "$here/data/penguins.csv" ] ||
    echo "data.sh: without penguins.csv, for penguins_multitask.yaml: install r-cran-palmerpenguins, or connect" >&2
