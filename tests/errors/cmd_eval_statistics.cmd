# EXIT 0
# WARNING layer/weights.safetensors lacks 'norm.moving_mean': its initial values are used
# WARNING layer/weights.safetensors lacks 'norm.moving_variance': its initial values are used
for norm in layer batch; do
    sed "s#  - dense: {name: prediction.*#  - ${norm}_norm: {name: norm}\n&#; s# data/# $SOURCE/examples/data/#g; /^stages/,\$d" \
        "$SOURCE"/examples/linear_two_stage.yaml >$norm.yaml
done
"$LAMINA" train layer.yaml --out=layer --max-steps=1
"$LAMINA" eval batch.yaml --weights=layer/weights.safetensors
