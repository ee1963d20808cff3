# EXIT 3
# ERROR expected INPUT=FILE with an input of the network, found 'images=a.idx'; did you mean 'image'?
net="$SOURCE"/examples/fashion_mlp.yaml
"$LAMINA" eval "$net" images=a.idx --weights=w.safetensors
