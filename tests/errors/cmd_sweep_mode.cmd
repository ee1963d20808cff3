# EXIT 2
# SAYS lamina sweep: --mode: expected min or max, found 'best'
"$LAMINA" sweep "$SOURCE"/examples/linear_regression.yaml --grid train.seed=1,2 --mode=best
