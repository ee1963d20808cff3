# EXIT 0
# SAYS given (4 examples):
cat >net.yaml <<'END2'
inputs: {x: [1], y: {shape: [], dtype: int32}}
layers: [dense: 2]
losses: [softmax_cross_entropy]
optimizer: sgd
data: {train: {format: csv, path: train.csv, columns: {x: a, y: b}, only: {y: [7, 5]}, take: 3}}
train: {batch: 1}
END2
printf 'a,b\n1,5\n2,7\n3,5\n4,9\n5,7\n' >train.csv
"$LAMINA" train net.yaml --out=run
"$LAMINA" eval net.yaml train.csv --weights=run/weights.safetensors | cut -d " " -f 1-3 >&2
