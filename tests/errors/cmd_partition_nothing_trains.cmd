# EXIT 3
# ERROR losses: expected a layer with parameters to train, found none
cat >net.yaml <<'END'
inputs: {x: [4], y: [4]}
layers: [activation: tanh]
losses: [mean_squared_error: {targets: y}]
optimizer: sgd
END
"$LAMINA" partition net.yaml --stages=1
