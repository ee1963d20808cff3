# EXIT 3
# ERROR --output: expected an output of the network as 'logits', found 'logit'
# ERROR --top: expected an output of classes, found none
# ERROR none/p.csv: cannot create: No such file or directory
# ERROR expected a file for every input, found none for 'x'
net() {
    cat >net.yaml <<END2
inputs: {x: [1], y: $1}
layers: [dense: {name: logits, units: 3}]
losses: [$2]
optimizer: sgd
data: {train: {format: raw, x: x.raw, y: y.raw}}
train: {batch: 1}
END2
}
printf '\0\0\0\0\0\0\0\0' >x.raw
printf '\0\0\0\0\1\0\0\0' >y.raw
net '{shape: [], dtype: int32}' softmax_cross_entropy
"$LAMINA" train net.yaml --out=run >out
predict() { "$LAMINA" predict net.yaml --weights=run/weights.safetensors "$@"; }
predict x=x.raw --output=logit
net '[3]' mean_squared_error
predict x=x.raw --top=2
predict x=x.raw -o none/p.csv
predict y=y.raw
