# EXIT 3
# ERROR expected an entry from 1 to 1, found 2
"$LAMINA" summary "$SOURCE"/examples/linear_regression.yaml --set losses.2.weight=3
