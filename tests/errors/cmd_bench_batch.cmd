# EXIT 3
# ERROR --batch=200: expected at most the largest batch of a call, 100
"$LAMINA" bench "$TESTS"/nets/mlp.yaml --batch=200 --max-batch=100
