# EXIT 3
# ERROR --partition=auto is not supported yet: expected fused or staged
"$LAMINA" check "$TESTS"/nets/mlp.yaml --partition=auto
