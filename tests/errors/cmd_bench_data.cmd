# EXIT 3
# ERROR --data: expected 'data:' with a 'train:' set, found none
"$LAMINA" bench "$TESTS"/nets/mlp.yaml --data
