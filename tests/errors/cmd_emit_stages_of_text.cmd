# EXIT 3
# ERROR the text is past pass plan_memory already: --emit-stages cannot change it
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --partition=auto --stages=2 --after=plan_memory >net.lmir
"$LAMINA" compile net.lmir --emit-stages
