# EXIT 3
# ERROR --grid train.seed=1,,2: expected a value between two commas
"$LAMINA" sweep "$SOURCE"/examples/linear_regression.yaml --grid train.seed=1,,2
