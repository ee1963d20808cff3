# EXIT 3
# ERROR 'dense1.bias': expected memory of its own, found some of that of 'dense1.weight' at @param+0
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory | sed "s/@param+4672/@param+0/" >net.lmir
"$LAMINA" compile net.lmir -o net.so
