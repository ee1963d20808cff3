# EXIT 3
# ERROR stages cut a training step: expected losses and an optimizer, found none
cat >net.yaml <<'END'
inputs: {x: [4]}
layers: [dense: 3, dense: 2]
END
"$LAMINA" partition net.yaml --stages=2
