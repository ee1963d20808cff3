# EXIT 3
# ERROR layer/weights.safetensors: expected the tensors of network 'linear_two_stage_features', found 2 that differ, of which the first 'norm.moving_mean' is F32[5] here, not there
for norm in layer batch; do
    sed "s#  - dense: {name: prediction.*#  - ${norm}_norm: {name: norm}\n&#; s# data/# $SOURCE/examples/data/#g; /^stages/,\$d" \
        "$SOURCE"/examples/linear_two_stage.yaml >$norm.yaml
done
cat >>batch.yaml <<END
staging: {coupling: local}
stages:
  - {name: features, through: norm, frozen: true, weights: layer/weights.safetensors}
  - {name: regressor, through: prediction}
END
"$LAMINA" train layer.yaml --out=layer --max-steps=1
"$LAMINA" train batch.yaml --out=batch
