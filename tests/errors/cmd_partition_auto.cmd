# EXIT 3
# ERROR --partition=auto: expected --stages=N with it
"$LAMINA" check "$TESTS"/nets/mlp.yaml --partition=auto
