# EXIT 3
# ERROR partition needs the YAML: an IR text has no sections to write stages into
"$LAMINA" dump "$TESTS"/nets/mlp.yaml >net.lmir
"$LAMINA" partition net.lmir --stages=2
