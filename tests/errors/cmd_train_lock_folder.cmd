# EXIT 3
# ERROR run/.lock: cannot be opened: Is a directory
mkdir -p run/.lock
"$LAMINA" train "$SOURCE"/examples/linear_regression.yaml --out=run
