# EXIT 1
# SAYS lamina: the standard output cannot be written
"$LAMINA" dump "$SOURCE"/examples/fashion_mlp.yaml >/dev/full
