# EXIT 3
# ERROR input 'saved.1': expected the type that it has in other functions, found another
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --partition=staged --stages=2 --after=plan_memory | sed "s/(saved.0 : f32\[B, 7, 5\], saved.1 : i1\[B, 33\]/(saved.1 : f32[B, 7, 5], saved.0 : i1[B, 33]/" >net.lmir
"$LAMINA" compile net.lmir -o net.so
