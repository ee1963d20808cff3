# EXIT 3
# SAYS train: 5 records
# SAYS     x                                     1            5            3         0  1 1, 2 1, 3 1, 4 1, 5 1
# ERROR more.idx: input 'y': record 1: expected a label in 0 .. 2, found 7
cat >net.yaml <<'END'
inputs: {x: {shape: [1], dtype: uint8}, y: {shape: [], dtype: int32}}
layers: [dense: 3]
losses: [softmax_cross_entropy: {labels: y}]
optimizer: sgd
data:
  train: {format: idx, x: "part-[0-9]*.idx", y: [first.idx, "mo*e.idx"]}
END
printf '\0\0\10\1\0\0\0\3\1\2\3' >part-1.idx
printf '\0\0\10\1\0\0\0\2\4\5' | gzip >part-2.idx
printf '\0\0\10\1\0\0\0\3\0\1\2' >first.idx
printf '\0\0\10\1\0\0\0\2\0\2' >more.idx
"$LAMINA" data net.yaml | grep -E '^train|^    x' >&2
printf '\0\0\10\1\0\0\0\2\0\7' >more.idx
"$LAMINA" data net.yaml
