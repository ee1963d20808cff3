# EXIT 3
# ERROR expected a file for every input, found none for 'y'
net="$SOURCE"/examples/linear_regression.yaml
data="$SOURCE"/examples/data/linear
"$LAMINA" eval "$net" x=$data-test-x.idx --weights=w.safetensors
