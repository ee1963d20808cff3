# EXIT 3
# ERROR --stages: expected a whole number from 1 to 64 or auto, found '0'
"$LAMINA" partition "$TESTS"/nets/mlp.yaml --stages=0
