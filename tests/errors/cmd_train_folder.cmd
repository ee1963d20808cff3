# EXIT 3
# ERROR file/run: cannot be made: Not a directory
touch file
"$LAMINA" train "$SOURCE"/examples/linear_two_stage.yaml --out=file/run
