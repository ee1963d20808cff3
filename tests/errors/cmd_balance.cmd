# EXIT 3
# ERROR --balance=time is not supported yet: expected parameters
"$LAMINA" check "$TESTS"/nets/mlp.yaml --partition=staged --stages=2 --balance=time
