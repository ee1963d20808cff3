# EXIT 3
# ERROR function @evaluate: expected a `row input @label`, found none
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory | sed "/^row input @label/d" >net.lmir
"$LAMINA" compile net.lmir -o net.so
