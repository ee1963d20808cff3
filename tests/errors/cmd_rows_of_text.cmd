# EXIT 3
# ERROR kernel 'softmax_cross_entropy.forward' uses input number 1, but the module has 1 rows 'input'
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory | sed "/^row input @label/d" >net.lmir
"$LAMINA" compile net.lmir -o net.so
