# EXIT 3
# ERROR the text is past pass winograd already: --convolution=direct cannot change it
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=winograd >net.lmir
"$LAMINA" compile net.lmir --convolution=direct
