# EXIT 3
# ERROR --set changes a YAML, found an IR text
"$LAMINA" dump "$SOURCE"/examples/linear_regression.yaml >net.ir || exit
"$LAMINA" check net.ir --set train.epochs=3
