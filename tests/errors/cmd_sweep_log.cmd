# EXIT 3
# ERROR --random train.seed=0..3:log: expected numbers above 0 with :log
"$LAMINA" sweep "$SOURCE"/examples/linear_regression.yaml --random train.seed=0..3:log
