# EXIT 3
# ERROR input 'label': expected the place @input+1, found @input+0
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory | sed "s/\(%label : i32\[B\] @input\)+1/\1+0/" >net.lmir
"$LAMINA" compile net.lmir -o net.so
