# EXIT 3
# ERROR cannot write 'no/such/net.so': No such file or directory
"$LAMINA" compile "$TESTS"/nets/mlp.yaml -o no/such/net.so
