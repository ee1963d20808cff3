# EXIT 130
# SAYS interrupted: go on with --resume
"$LAMINA" sweep "$SOURCE"/examples/linear_regression.yaml --out=run --epochs=1000000 --grid train.seed=1,2 &
sweep=$!
until [ -s run/trial_0001/log.jsonl ] || ! kill -0 $sweep; do sleep 0.1; done
kill -INT $sweep
wait $sweep
