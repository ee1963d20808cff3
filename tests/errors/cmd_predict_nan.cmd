# EXIT 1
# WARNING output 'dense1': record 1: expected finite values, found nan
cat >net.yaml <<END2
inputs: {x: [1], y: [1]}
layers: [dense: 1]
losses: [mean_squared_error]
optimizer: sgd
data: {train: {format: raw, x: x.raw, y: y.raw}}
train: {batch: 1}
END2
printf '\0\0\0\0\0\0\0\0' >x.raw
"$LAMINA" train net.yaml --out=run --set data.train.y=x.raw >out
printf '\0\0\0\0\0\0\300\177' >bad.raw
"$LAMINA" predict net.yaml x=bad.raw --weights=run/weights.safetensors >out
