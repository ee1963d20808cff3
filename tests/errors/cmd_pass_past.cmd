# EXIT 3
# ERROR stop after: the module is past pass 'simplify' already, it is after 'fuse'
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=fuse >net.lmir
"$LAMINA" dump net.lmir --after=simplify
