# EXIT 3
# ERROR cannot write '000000000000000000000000000000000000000000000000000000000000...': the path is too long
"$LAMINA" compile "$TESTS"/nets/mlp.yaml -o "$(printf %05000d 0)"
