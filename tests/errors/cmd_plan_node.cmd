# EXIT 3
# ERROR param 'logits.forward': expected the place @param+8000, found @param+80006400
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory | sed "s/^  %logits.bias = .* @param+[0-9]*/&6400/" >net.lmir
"$LAMINA" compile net.lmir -o net.so
