# EXIT 3
# ERROR the text is past pass select already: --autotune has nothing to choose
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=select >net.lmir
"$LAMINA" compile net.lmir --autotune
