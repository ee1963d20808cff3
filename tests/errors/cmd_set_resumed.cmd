# EXIT 3
# ERROR run/checkpoint/last.safetensors: a checkpoint of another run: batch: expected 32, found 16
net="$SOURCE"/examples/linear_regression.yaml
"$LAMINA" train "$net" --out=run --max-steps=1 --set=train.batch=16 || exit
"$LAMINA" train "$net" --out=run --max-steps=1 --resume || exit
cp -r run kept
"$LAMINA" train "$net" --out=run --resume --set=train.batch=32
code=$?
diff -r -x 'net.*' -x 'linear*' run kept && exit $code
