# EXIT 3
# ERROR --grid train.seed: expected KEY=VALUE,VALUE... of a key that is not there yet
"$LAMINA" sweep "$SOURCE"/examples/linear_regression.yaml --grid train.seed
