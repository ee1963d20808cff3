# EXIT 3
# ERROR input 'saved.1': expected the place @saved+2816, found @saved+3520
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --partition=staged --stages=2 --after=plan_memory | sed "s/%saved.1 : i1\[B, 33\] @saved+2816/%saved.1 : i1[B, 33] @saved+3520/" >net.lmir
"$LAMINA" compile net.lmir -o net.so
