# EXIT 130
"$LAMINA" train "$SOURCE"/examples/linear_two_stage.yaml --out=run --epochs=1000000 &
train=$!
until [ -s run/log.jsonl ] || ! kill -0 $train; do sleep 0.1; done
kill -INT $train
wait $train
