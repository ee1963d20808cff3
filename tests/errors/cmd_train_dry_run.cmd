# EXIT 2
# SAYS lamina train: --dry-run: expected neither --resume nor --overfit with it
"$LAMINA" train "$SOURCE"/examples/linear_regression.yaml --dry-run --resume
