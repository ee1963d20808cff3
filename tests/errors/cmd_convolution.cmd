# EXIT 3
# ERROR --convolution: expected auto, direct or winograd, found 'winogard'; did you mean 'winograd'?
"$LAMINA" check "$TESTS"/nets/mlp.yaml --convolution=winogard
