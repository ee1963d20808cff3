# EXIT 3
# ERROR fused: expected slices of 8 examples, as in the kernel above of chain 1, found 4
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory | sed "/dense1.forward/s/kind = contraction, plan/kind = contraction, chain = [1, 8], plan/; /dense2.forward/s/kind = contraction, plan/kind = contraction, chain = [1, 4], plan/" >net.lmir
"$LAMINA" compile net.lmir -o net.so
