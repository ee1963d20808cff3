# EXIT 3
# ERROR cannot write 'no/such/folder': No such file or directory
"$LAMINA" check "$TESTS"/nets/mlp.yaml --dump-after=all --dump-dir=no/such/folder
