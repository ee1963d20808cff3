# EXIT 3
# ERROR run/linear_two_stage.key: cannot be written: Is a directory
mkdir -p run/linear_two_stage.key
"$LAMINA" train "$SOURCE"/examples/linear_two_stage.yaml --out=run
