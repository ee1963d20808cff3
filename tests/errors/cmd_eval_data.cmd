# EXIT 3
# ERROR expected a YAML with 'data:' and a 'test:' set, found none
"$LAMINA" eval "$TESTS"/nets/mlp.yaml --weights=w.safetensors
