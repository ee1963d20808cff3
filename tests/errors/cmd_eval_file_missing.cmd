# EXIT 3
# ERROR no.idx: cannot open: No such file or directory
net="$SOURCE"/examples/linear_regression.yaml
data="$SOURCE"/examples/data/linear
"$LAMINA" eval "$net" x=$data-test-x.idx y=no.idx --weights=w.safetensors
