# EXIT 3
# ERROR expected one file for input 'x', found 'b.idx' too
net="$SOURCE"/examples/linear_regression.yaml
"$LAMINA" eval "$net" x=a.idx x=b.idx --weights=w.safetensors
