# EXIT 3
# ERROR kernel 'loss.forward': expected no reduction, window or contraction in an elementwise kernel
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory | sed "s/kind = batch_reduce/kind = elementwise/" >net.lmir
"$LAMINA" compile net.lmir -o net.so
