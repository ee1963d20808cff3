# EXIT 3
# ERROR --partition: expected fused, staged or auto, found 'stage'; did you mean 'staged'?
"$LAMINA" check "$TESTS"/nets/mlp.yaml --partition=stage
