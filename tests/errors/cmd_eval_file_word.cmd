# EXIT 3
# ERROR expected INPUT=FILE with an input of the network, found 'a.idx'
net="$SOURCE"/examples/linear_regression.yaml
"$LAMINA" eval "$net" a.idx --weights=w.safetensors
