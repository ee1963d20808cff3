# EXIT 3
# ERROR 'dense1.forward': expected memory of its own, found some of that of 'image.scale' at @workspace+0
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory | sed "s/@workspace+[0-9]*$/@workspace+0/" >net.lmir
"$LAMINA" compile net.lmir -o net.so
