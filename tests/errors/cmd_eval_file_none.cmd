# EXIT 3
# ERROR expected a YAML with 'data:' and a 'train:' set, found none
"$LAMINA" eval "$TESTS"/nets/mlp.yaml x=a.idx --weights=w.safetensors
