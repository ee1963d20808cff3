# EXIT 3
# ERROR stages: expected a section that no other needs, found an anchor or alias in it
cat >net.yaml <<'END'
inputs: {x: [4], y: [2]}
stages: [{name: &it net, through: dense1}, {name: rest, through: dense2}]
name: *it
layers: [dense: 3, dense: 2]
losses: [mean_squared_error: {targets: y}]
optimizer: sgd
END
"$LAMINA" partition net.yaml --stages=2
