# EXIT 3
# ERROR --stages=2: expected --partition=staged with it, found fused
"$LAMINA" check "$TESTS"/nets/mlp.yaml --stages=2
