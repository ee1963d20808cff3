# EXIT 3
# ERROR fused: expected in chain 1 a kernel that works in slices of 8 examples, found another
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory | sed "/loss.forward/s/kind = batch_reduce, plan/kind = batch_reduce, chain = [1, 8], plan/" >net.lmir
"$LAMINA" compile net.lmir -o net.so
