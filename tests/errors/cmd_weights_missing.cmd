# EXIT 2
# SAYS lamina eval: expected --weights=FILE, found none
"$LAMINA" eval "$TESTS"/nets/mlp.yaml
