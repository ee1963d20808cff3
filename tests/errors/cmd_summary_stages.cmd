# EXIT 2
# SAYS lamina summary: expected --partition with options that are about stages
"$LAMINA" summary "$TESTS"/nets/mlp.yaml --stages=2
