# EXIT 3
# ERROR --part=one: expected a network with 'staging: {coupling: local}'
"$LAMINA" check "$TESTS"/nets/mlp.yaml --part=one
