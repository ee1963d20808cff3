# EXIT 2
# SAYS lamina compile: -o: expected FILE, found an empty word
# SAYS lamina train: --out: expected DIR, found an empty word
"$LAMINA" compile "$TESTS"/nets/mlp.yaml -o ''
"$LAMINA" train "$SOURCE"/examples/linear_regression.yaml --out=
