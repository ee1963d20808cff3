# EXIT 3
# ERROR the text is for the CPU haswell already: --cpu=znver3 cannot change it
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --cpu=haswell --after=fuse >net.lmir
"$LAMINA" check net.lmir --cpu=znver3
