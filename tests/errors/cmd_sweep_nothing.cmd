# EXIT 3
# ERROR expected --grid or --random, and at most 10000 trials, found 0
"$LAMINA" sweep "$SOURCE"/examples/linear_regression.yaml
