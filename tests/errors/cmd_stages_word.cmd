# EXIT 3
# ERROR --stages: expected a whole number from 1 to 64 or auto, found '2x'
"$LAMINA" check "$TESTS"/nets/mlp.yaml --partition=auto --stages=2x
