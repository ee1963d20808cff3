# EXIT 3
# ERROR --balance: expected time, flops, memory or parameters, found 'tme'; did you mean 'time'?
"$LAMINA" check "$TESTS"/nets/mlp.yaml --partition=staged --stages=2 --balance=tme
