# EXIT 3
# ERROR --data needs the YAML: an IR text has no data
"$LAMINA" dump "$TESTS"/nets/mlp.yaml >net.lmir
"$LAMINA" bench net.lmir --data
