# EXIT 2
# SAYS lamina eval: expected --set or files, found both
net="$SOURCE"/examples/linear_regression.yaml
"$LAMINA" eval "$net" x=a.idx --set=train --weights=w.safetensors
