# EXIT 3
# ERROR --overfit: take: expected 1 to 4096, the records that there are, found 5000
"$LAMINA" train "$SOURCE"/examples/linear_regression.yaml --overfit=5000
