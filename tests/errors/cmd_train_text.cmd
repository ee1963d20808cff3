# EXIT 3
# ERROR train needs the YAML: an IR text has no data and no schedule
"$LAMINA" dump "$TESTS"/nets/mlp.yaml >net.lmir
"$LAMINA" train net.lmir
