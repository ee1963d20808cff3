# EXIT 3
# ERROR --stages=64: expected at most 3 stages, as many as layers with parameters
"$LAMINA" partition "$TESTS"/nets/mlp.yaml --stages=64
