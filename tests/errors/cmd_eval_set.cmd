# EXIT 2
# SAYS lamina eval: --set: expected train, validation or test, found 'tests'
net="$SOURCE"/examples/linear_regression.yaml
"$LAMINA" eval "$net" --set=tests --weights=w.safetensors
