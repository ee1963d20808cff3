# EXIT 0
cat >net.yaml <<'END'
inputs: {x: {shape: [2], dtype: uint8, scale: 1/4}, y: [1]}
layers: [normalization, dense: {name: h, units: 4, activation: relu}, dense: {name: out, units: 1}]
losses: [mean_squared_error]
optimizer: {sgd: 0.01}
data:
  train: {format: csv, path: t.csv, columns: {x: [x, x], y: y}}
  validation: {split: 0.5}
train: {epochs: 3, batch: 4}
END
{ echo x,y; for i in $(seq 60); do echo "$i,$i.5"; done; } >t.csv
cp net.yaml staged.yaml
printf 'staging: {coupling: local}\nstages: [{name: a, through: h, head: [dense: 1]}, {name: b, through: out}]\n' >>staged.yaml
for net in net staged; do
    "$LAMINA" train $net.yaml --out=whole --overwrite >/dev/null || exit
    "$LAMINA" train $net.yaml --out=parts --overwrite --max-steps=5 >/dev/null || exit
    "$LAMINA" train $net.yaml --out=parts --resume >/dev/null || exit
    cmp whole/weights.safetensors parts/weights.safetensors || exit
    LC_ALL=C grep -q normalization1.deviation whole/weights.safetensors || exit
done
