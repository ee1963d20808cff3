# EXIT 3
# ERROR the text is past pass split already: --max-batch=99 cannot change it
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=split >net.lmir
"$LAMINA" compile net.lmir --max-batch=99
