# EXIT 3
# ERROR scratch '': expected an offset that is a multiple of 64, found 3848
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory | sed "s/ = scratch .* @workspace+[0-9]*/&8/" >net.lmir
"$LAMINA" compile net.lmir -o net.so
