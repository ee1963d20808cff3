# EXIT 2
# SAYS lamina bench: --epochs: expected --data with it, found none
"$LAMINA" bench "$TESTS"/nets/mlp.yaml --epochs=2
