# EXIT 3
# ERROR run/checkpoint/last.safetensors: there is nothing to go on from: begin without --resume
"$LAMINA" train "$SOURCE"/examples/linear_regression.yaml --out=run --resume
code=$?
[ ! -e run ] && exit $code
