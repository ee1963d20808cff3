# EXIT 1
# WARNING no checkpoint was saved, and none will be before this is mended: run/checkpoint/last.safetensors: cannot write: Is a directory
# ERROR run/checkpoint/last.safetensors: cannot write: Is a directory
# NOTE the weights were saved to run/weights.safetensors
mkdir -p run/checkpoint/last.safetensors
"$LAMINA" train "$SOURCE"/examples/linear_regression.yaml --out=run --overwrite --max-steps=3
code=$?
[ -s run/weights.safetensors ] && exit $code
