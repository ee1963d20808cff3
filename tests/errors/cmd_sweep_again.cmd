# EXIT 3
# ERROR run: holds another sweep: --resume goes on with it, --overwrite begins anew
net="$SOURCE"/examples/linear_regression.yaml
"$LAMINA" sweep "$net" --out=run --epochs=1 --metric=train.loss --grid train.seed=1 || exit
"$LAMINA" sweep "$net" --out=run --epochs=1 --metric=train.loss --grid train.seed=2
