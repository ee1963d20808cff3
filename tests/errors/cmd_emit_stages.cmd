# EXIT 3
# ERROR --emit-stages: expected --stages=N or stages in the YAML, found neither
"$LAMINA" compile "$TESTS"/nets/mlp.yaml --emit-stages
