# EXIT 2
# SAYS lamina check: --set: expected it at most 64 times
set --
while [ $# -lt 65 ]; do set -- "$@" --set=train.epochs=3; done
"$LAMINA" check "$SOURCE"/examples/linear_regression.yaml "$@"
