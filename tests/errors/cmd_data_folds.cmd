# EXIT 3
# SAYS train: 4 records
# SAYS validation: 2 records
# SAYS     y                                     0            1          0.5         0  0 1, 1 1
# ERROR folds: expected 2 to 6, the number of records, found 7
cat >net.yaml <<'END'
inputs: {x: [1], y: {shape: [], dtype: int32}}
layers: [dense: 2]
losses: [softmax_cross_entropy]
optimizer: sgd
data:
  train: {format: csv, path: t.csv, columns: {x: a, y: b}, shuffle: {window: 2}}
  test: {format: csv, path: t.csv}
  validation: {folds: 3, fold: 1, stratify: y}
END
printf 'a,b\n1,0\n2,0\n3,1\n4,1\n5,0\n6,1\n' >t.csv
"$LAMINA" data net.yaml | grep -E '^train|^valid|^    y' | tail -n +1 | sed 2d >&2
"$LAMINA" train net.yaml --out=run >/dev/null || exit 1
sed -i 's/folds: 3/folds: 7/' net.yaml
"$LAMINA" data net.yaml
