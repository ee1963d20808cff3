# EXIT 2
# SAYS lamina sweep: expected --resume or --overwrite, found both
"$LAMINA" sweep "$SOURCE"/examples/linear_regression.yaml --grid train.seed=1,2 --resume --overwrite
