# EXIT 137
# SAYS saved run/checkpoint/last.safetensors after 1 steps
"$LAMINA" train "$SOURCE"/examples/linear_regression.yaml --out=run --epochs=1000000 2>said &
train=$!
until [ -s run/log.jsonl ] || ! kill -0 $train; do sleep 0.1; done
kill -USR1 $train
until [ -s said ] || ! kill -0 $train; do sleep 0.1; done
kill -KILL $train
wait $train
code=$?
sed 's/after [0-9]* steps/after 1 steps/' said >&2
exit $code
