# EXIT 3
# ERROR expected 'data:' with a 'train:' set, found none
"$LAMINA" train "$TESTS"/nets/mlp.yaml
