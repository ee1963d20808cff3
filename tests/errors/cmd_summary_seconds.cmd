# EXIT 2
# SAYS lamina summary: --seconds: expected a number from 0.001 to 3600
"$LAMINA" summary "$TESTS"/nets/mlp.yaml --partition --measure --seconds=0
