# EXIT 3
# ERROR expected at most 64 changes, with those of --set
net="$SOURCE"/examples/linear_regression.yaml
"$LAMINA" train "$net" --out=run --max-steps=1 --set=train.seed=3 || exit
set --
while [ $# -lt 64 ]; do set -- "$@" --set=train.epochs=3; done
"$LAMINA" train "$net" --out=run --resume "$@"
