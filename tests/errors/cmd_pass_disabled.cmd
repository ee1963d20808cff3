# EXIT 3
# ERROR pass 'autodiff' cannot be disabled: the passes after it need its work
"$LAMINA" check "$TESTS"/nets/mlp.yaml --disable-pass=fuse,autodiff
