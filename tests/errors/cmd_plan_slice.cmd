# EXIT 3
# ERROR fused: expected slices of 8 examples, as in the kernel above of chain 1, found 4
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory | sed "/cross_entropy.forward\"/s/kind = row, plan/kind = row, chain = [1, 8], plan/; /loss.forward/s/batch_reduce, plan/batch_reduce, chain = [1, 4], plan/" >net.lmir
"$LAMINA" compile net.lmir -o net.so
