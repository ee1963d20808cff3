# EXIT 3
# ERROR function @query: expected another name, found that of the library's own mlp_query
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory | sed "s/^func @infer/func @query/" >net.lmir
"$LAMINA" compile net.lmir -o net.so
