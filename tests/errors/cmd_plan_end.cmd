# EXIT 3
# ERROR symbol 'dense1.bias': expected it to end within the 8064 bytes of param, found its end at 1000132
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory | sed "/^param @dense1.bias/s/ @param+[0-9]*/ @param+1000000/" >net.lmir
"$LAMINA" compile net.lmir -o net.so
