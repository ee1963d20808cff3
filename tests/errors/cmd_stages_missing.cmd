# EXIT 3
# ERROR --partition=staged: expected --stages=N or stages in the YAML, found neither
"$LAMINA" check "$TESTS"/nets/mlp.yaml --partition=staged
