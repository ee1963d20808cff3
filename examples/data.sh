#!/bin/sh
# Make the examples' data: links to Debian's Fashion-MNIST files, sets that a program writes, and tables out of Debian's
# packages. data.sh [BUILD]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${1:-$here/../build}
data=$here/data
mkdir -p "$data"
for file in $(dpkg -L dataset-fashion-mnist | grep -- '-ubyte'); do
    ln -sf "$file" "$data/$(basename "$file")"
done
[ -f "$data/tabular-test-label.idx" ] || "$build/made_data" "$data"

fetched=$(mktemp -d)
trap 'rm -rf "$fetched"' EXIT

# file_of PACKAGE FILE: print a file of a package, whether or not it is installed. These packages depend on all of R or SciPy,
# of which only a table is wanted, so they are unpacked rather than installed.
file_of() {
    path=$(dpkg -L "$1" 2>/dev/null | grep "/$2\$" || true)
    if [ -n "$path" ]; then
        cat "$path"
        return
    fi
    [ -d "$fetched/$1" ] || (mkdir "$fetched/$1" && cd "$fetched/$1" && apt-get download -qq "$1" >/dev/null 2>&1)
    dpkg-deb --fsys-tarfile "$fetched/$1"/*.deb | tar -xO --wildcards "*/$2"
}

# made NAME PACKAGE FUNCTION: what the function prints becomes data/NAME, all of it or nothing.
made() {
    [ ! -s "$data/$1" ] || return 0
    if "$3" >"$data/.$1" 2>/dev/null && [ -s "$data/.$1" ]; then
        mv "$data/.$1" "$data/$1"
    else
        rm -f "$data/.$1"
        echo "data.sh: without $1: install $2, or connect" >&2
    fi
}

penguins() { file_of r-cran-palmerpenguins extdata/penguins.csv; }

sklearn() { file_of python3-sklearn "sklearn/datasets/data/$1"; }
digits() { sklearn digits.csv.gz | gzip -d; }
breast_cancer() { sklearn breast_cancer.csv | sed 1d; } # the first line counts records and names classes
wine() { sklearn wine_data.csv | sed 1d; }
diabetes() { # measurements and what is to be told from them are two files
    echo age,sex,bmi,blood_pressure,s1,s2,s3,s4,s5,s6,progression
    sklearn diabetes_target.csv.gz | gzip -d >"$data/.target"
    sklearn diabetes_data_raw.csv.gz | gzip -d | paste -d ' ' - "$data/.target" | tr ' ' ','
    rm -f "$data/.target"
}

# gretl's files are XML: a line <obs>...</obs> a day.
bike_days() {
    echo day,season,holiday,workingday,weather,temperature,felt_temperature,humidity,wind,rentals
    file_of gretl-data misc/bikesharing.gdt | gzip -d |
        sed -n 's,</*obs>,,gp' | awk '{ print NR - 1 "," $1 "," $2 "," $3 "," $4 "," $5 "," $6 "," $7 "," $8 "," $11 }'
}

noisy_train() { gzip -dc "$data/train-images-idx3-ubyte.gz" | "$build/made_data" noise; }
noisy_test() { gzip -dc "$data/t10k-images-idx3-ubyte.gz" | "$build/made_data" noise; }

made noisy-train-images.idx dataset-fashion-mnist noisy_train
made noisy-test-images.idx dataset-fashion-mnist noisy_test
made penguins.csv r-cran-palmerpenguins penguins
made digits.csv python3-sklearn digits
made breast_cancer.csv python3-sklearn breast_cancer
made wine.csv python3-sklearn wine
made diabetes.csv python3-sklearn diabetes
made bike_days.csv gretl-data bike_days
