# EXIT 3
# ERROR the text is past pass plan_memory already: --balance=parameters cannot change it
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory >net.lmir
"$LAMINA" compile net.lmir --balance=parameters
