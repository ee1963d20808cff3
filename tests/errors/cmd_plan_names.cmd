# EXIT 3
# ERROR function @a_b: expected a name of its own in C, found mlp_a_b, which is @a.b's
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory | sed "s/^func @evaluate/func @a.b/; s/^func @train_step/func @a_b/" >net.lmir
"$LAMINA" compile net.lmir -o net.so
