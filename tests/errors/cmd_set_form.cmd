# EXIT 3
# ERROR expected KEY=VALUE on one line, with dots between the keys on the way to it
"$LAMINA" check "$SOURCE"/examples/linear_regression.yaml --set train..epochs=3
