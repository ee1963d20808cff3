# EXIT 3
# ERROR augment: rotate: expected a number from 0 to 180, found 181
# ERROR augment: input 'y': mixup: expected float32 targets, a number for each class, as categorical_cross_entropy takes them, found i32
# ERROR expected training data with 'augment:', found none
# ERROR none/sheet.pgm: cannot be written: No such file or directory
head='inputs: {x: {shape: [2, 2], dtype: uint8}, y: {shape: [], dtype: int32}}
layers: [flatten, dense: 3]
losses: [softmax_cross_entropy]
optimizer: sgd'
printf '\1\2\3\4\5\6\7\10' >x.raw
printf '\0\0\0\0\1\0\0\0' >y.raw
data() { printf '%s\ndata: {train: {format: raw, x: x.raw, y: y.raw%s}}\n' "$head" "$1" >net.yaml; }
data ', augment: {rotate: 181}'
"$LAMINA" data net.yaml >out
data ', augment: {mixup: 0.2}'
"$LAMINA" train net.yaml --out=run
data ''
"$LAMINA" data net.yaml --augmented=sheet.pgm
data ', augment: {flip: vertical}'
"$LAMINA" data net.yaml --augmented=sheet.pgm && test "$(wc -c <sheet.pgm)" -eq 192 && test "$(head -c 2 sheet.pgm)" = P5 &&
    "$LAMINA" data net.yaml --augmented=none/sheet.pgm
