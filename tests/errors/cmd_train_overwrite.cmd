# EXIT 3
# ERROR run: holds what another run learned: --resume goes on with it, --overwrite begins anew in its place
net="$SOURCE"/examples/linear_regression.yaml
"$LAMINA" train "$net" --out=run --max-steps=3 || exit
cp -r run kept
"$LAMINA" train "$net" --out=run --max-steps=1
code=$?
diff -r run kept && exit $code
