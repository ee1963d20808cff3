# EXIT 2
# SAYS lamina bench: --seconds: expected a number from 0.001 to 3600, found '1s'
"$LAMINA" bench "$TESTS"/nets/mlp.yaml --seconds=1s
