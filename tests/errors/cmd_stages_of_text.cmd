# EXIT 3
# ERROR the text is past pass autodiff already: --stages=3 cannot change it
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=autodiff >net.lmir
"$LAMINA" compile net.lmir --stages=3
