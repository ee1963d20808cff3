# EXIT 3
# ERROR train: key 'sead' is unknown, did you mean 'seed'?
"$LAMINA" sweep "$SOURCE"/examples/linear_regression.yaml --grid train.sead=1,2
