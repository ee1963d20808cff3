# EXIT 3
# ERROR cannot write 'no/such/net.yaml': No such file or directory
"$LAMINA" partition "$TESTS"/nets/mlp.yaml --stages=2 -o no/such/net.yaml
