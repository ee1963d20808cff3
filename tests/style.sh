#!/bin/sh
# Form: clang-format changes nothing, includes follow the layers, the top level holds what it should.
set -eu
cd "$(dirname "$0")/.."
failed=0
files=$(git ls-files '*.[ch]')
clang-format --dry-run -Werror $files || failed=1
# clang-format leaves comments alone, since it would break their drawings: so their length is looked at here,
# and that of the tables and bodies that C files include.
grep -nE '^.{121,}' $files $(git ls-files '*.def' '*.inc') && { echo "style: lines of more than 120 columns"; failed=1; }

forbid() { # folder, folders it must not include, exception
    if grep -rnE --include='*.[ch]' "#include \"($2)/" "$1" | grep -vE "$3"; then
        echo "style: $1/ includes what its layer may not"
        failed=1
    fi
}
forbid ir 'passes|frontend|backend|runtime' '^$'
forbid passes 'frontend|backend|runtime' '^$'
forbid backend 'passes|frontend|runtime' 'runtime/lamina_abi\.(h|def)'
forbid runtime 'ir|passes|frontend|backend' '^$'
forbid frontend 'passes|backend|runtime' '^frontend/command/'
forbid frontend/document 'frontend/(catalogue|network|command)' '^$'
forbid frontend/catalogue 'frontend/(network|command)' '^$'
forbid frontend/network 'frontend/command' '^$'

extra=$(ls | grep -vxE 'CMakeLists\.txt|frontend|ir|passes|backend|runtime|tests|examples|README\.md|LICENSE|build.*|runs' || true)
[ -z "$extra" ] || { echo "style: unexpected at the top level: $extra"; failed=1; }
exit $failed
