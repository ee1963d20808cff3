# EXIT 3
# ERROR --random train.seed=9..3: expected KEY=LOW..HIGH, with :log or :int behind it, of a key that is not there yet
"$LAMINA" sweep "$SOURCE"/examples/linear_regression.yaml --random train.seed=9..3
