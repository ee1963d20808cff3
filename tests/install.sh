#!/bin/sh
# Install what building and testing needs (Debian packages), unless it is there. As root or with sudo; offline once done.
set -eu
llvm=19
packages="build-essential cmake pkg-config binutils llvm-$llvm-dev libyaml-dev libopenblas-dev libcunit1-dev
libjansson-dev zlib1g-dev libpng-dev libjpeg62-turbo-dev dataset-fashion-mnist ${LAMINA_PACKAGES:-}"
missing=
for package in $packages; do
    status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "installing:$missing"
as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
