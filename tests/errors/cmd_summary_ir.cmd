# EXIT 3
# ERROR summary needs the YAML: an IR text has operators and no layers
"$LAMINA" dump "$TESTS"/nets/mlp.yaml >net.lmir
"$LAMINA" summary net.lmir
