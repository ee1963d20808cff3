# EXIT 0
# SAYS     x                                   1.5          2.5            2         0
# SAYS     y                                     0            2            1         0  0 1, 2 1
cat >net.yaml <<'END'
inputs: {x: [1], y: {shape: [], dtype: int32}}
layers: [dense: 3]
losses: [softmax_cross_entropy]
optimizer: sgd
data:
  train: {format: npy, x: x.npy, y: y.npy}
  test: {format: raw, x: x.raw, y: y.raw}
END
header() { printf '\223NUMPY\1\0\100\0%-63s\n' "{'descr': '$1', 'fortran_order': False, 'shape': $2}"; }
{ header '<f2' '(2, 1)' && printf '\0\76\0\101'; } >x.npy
{ header '|u1' '(2,)' && printf '\0\2'; } >y.npy
printf '\0\0\200\77' >x.raw
printf '\1\0\0\0' >y.raw
"$LAMINA" data net.yaml | grep '^    [xy]' | head -2 >&2
"$LAMINA" train net.yaml --out=run | grep -q 'test (1 examples)'
