# EXIT 3
# ERROR stages: expected sections that begin a line each, to write them into, found braces
cat >net.yaml <<'END'
# a net in a line
{inputs: {x: [4], y: [2]}, layers: [dense: 3, dense: 2], losses: [mean_squared_error: {targets: y}], optimizer: sgd}
END
"$LAMINA" partition net.yaml --stages=2
