# EXIT 3
# ERROR run/sweep.txt: expected the sweep that is to go on, found none
# ERROR run/sweep.txt: expected the sweep that is to go on, found one of other keys, values, seed or epochs
net="$SOURCE"/examples/linear_regression.yaml
"$LAMINA" sweep "$net" --out=run --epochs=1 --metric=train.loss --grid train.seed=1 --resume
"$LAMINA" sweep "$net" --out=run --epochs=1 --metric=train.loss --grid train.seed=1 || exit
"$LAMINA" sweep "$net" --out=run --epochs=1 --metric=train.loss --grid train.seed=2 --resume
