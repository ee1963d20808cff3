# EXIT 1
# ERROR 'prediction.weight' is not finite after the last step: nothing was saved since the checkpoint
sed "s#data/#$SOURCE/examples/data/#g; s/0.05/3e38/" "$SOURCE"/examples/linear_regression.yaml >net.yaml
"$LAMINA" train net.yaml --out=run --max-steps=1
code=$?
[ ! -e run/weights.safetensors ] && exit $code
