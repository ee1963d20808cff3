# EXIT 3
# ERROR @dense1.bias: expected a place in param, found none
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory | sed "/^param @dense1.bias/s/ @param+[0-9]*//" >net.lmir
"$LAMINA" compile net.lmir -o net.so
