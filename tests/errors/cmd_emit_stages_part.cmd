# EXIT 3
# ERROR --emit-stages: expected the whole network, found --part=first
"$LAMINA" compile "$TESTS"/../examples/fashion_mlp_staged.yaml --emit-stages --part=first
