# EXIT 3
# ERROR batch_size: expected every operator in a kernel after plan_memory, found one outside
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory | sed "s/^  %flatten1 = /  %q = batch_size : i64[]\n&/" >net.lmir
"$LAMINA" compile net.lmir -o net.so
