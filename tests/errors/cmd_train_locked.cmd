# EXIT 3
# ERROR run: process 1 is training there: wait until it ends, or name another --out
net="$SOURCE"/examples/linear_regression.yaml
"$LAMINA" train "$net" --out=run --epochs=1000000 2>/dev/null &
train=$!
until [ -s run/log.jsonl ] || ! kill -0 $train; do sleep 0.1; done
"$LAMINA" train "$net" --out=run --resume 2>said
code=$?
sed "s/process $train /process 1 /" said >&2
kill -INT $train
wait $train
exit $code
