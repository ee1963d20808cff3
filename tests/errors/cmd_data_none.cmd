# EXIT 3
# ERROR expected a YAML with 'data:', found none
"$LAMINA" data "$TESTS"/nets/mlp.yaml
