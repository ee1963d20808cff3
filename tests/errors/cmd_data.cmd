# EXIT 0
# SAYS train: 3 records
# SAYS   5 in the files; left out 0 that lack values, 1 duplicates; 0 values filled, 1 clipped, 2 kept missing
# SAYS     b                                    -1          2.5         0.75         1
# SAYS     k"d=v                                 0            1     0.666667         0
# SAYS     y                                     0            2      1.33333         0  0 1, 2 2
# SAYS validation: 1 records
# SAYS {"name": "k\"d=v", "min": 0, "max": 1, "mean": 0.5, "missing": 0}
# SAYS {"name": "y", "min": 0, "max": 2, "mean": 1, "missing": 0, "classes": {"0": 2, "2": 2}
cat >net.yaml <<'END'
inputs: {x: [4], y: {shape: [], dtype: int32}}
layers: [dense: 3]
losses: [softmax_cross_entropy]
optimizer: sgd
data:
  train: {format: csv, path: t.csv, columns: {x: [a, '2', 'k"d'], y: c}, categories: {'k"d': [u, v]},
          keep_missing: true, drop: duplicates, clip: {a: [0, 5]}}
  test: {format: csv, path: t.csv}
  validation: {split: 0.25}
END
printf 'a,b,"k""d",c\n1,2.5,u,0\n2,NA,v,2\n9,-1,v,2\n9,-1,v,2\n4,0.25,,0\n' >t.csv
"$LAMINA" data net.yaml >&2 && "$LAMINA" data net.yaml --json | grep -o '{"name[^}]*}' >&2
