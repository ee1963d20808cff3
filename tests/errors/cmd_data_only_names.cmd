# EXIT 0
# SAYS     y                                     0            1     0.666667         0  c 1, a 2
cat >net.yaml <<'END'
inputs: {x: [1], y: {shape: [], dtype: int32}}
layers: [dense: 2]
losses: [softmax_cross_entropy]
optimizer: sgd
data:
  train: {format: csv, path: t.csv, columns: {x: x, y: kind}, categories: [kind], only: {y: [2, 0]}}
END
printf 'x,kind\n1,a\n2,b\n3,c\n4,a\n' >t.csv
"$LAMINA" data net.yaml | grep '^    y' >&2
