# EXIT 3
# ERROR no/such: a directory cannot be made there: No such file or directory
TMPDIR=no/such "$LAMINA" eval "$SOURCE"/examples/linear_two_stage.yaml --weights=w.safetensors
