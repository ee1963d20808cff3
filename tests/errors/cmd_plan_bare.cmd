# EXIT 3
# ERROR plan_memory: expected kernels only, found a bare batch_size
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory | sed "s/^  %flatten1 = /  %q = batch_size : i64[]\n&/" >net.lmir
"$LAMINA" compile net.lmir -o net.so
