# EXIT 3
# ERROR stages: expected none that is a file of its own, to write others in their place
cat >net.yaml <<'end'
inputs: {x: [6], label: {shape: [], dtype: int32}}
layers: [{dense: {name: logits, units: 3}}]
losses: [softmax_cross_entropy]
optimizer: adam
stages:
  - {name: e, net: encoder.yaml, output: code}
  - {name: c, through: logits}
end
cp "$TESTS"/errors/files/encoder.yaml .
"$LAMINA" partition net.yaml --stages=2
