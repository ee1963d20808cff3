# EXIT 3
# ERROR --workers=2: expected --stages=auto with it
"$LAMINA" check "$TESTS"/nets/mlp.yaml --partition=auto --stages=2 --workers=2
