# EXIT 2
# SAYS lamina sweep: --metric: expected one such as validation.loss, found 'loss'
"$LAMINA" sweep "$SOURCE"/examples/linear_regression.yaml --grid train.seed=1,2 --metric=loss
