# EXIT 3
# ERROR categories: expected a list of words, since the command line names other files, found the words of a file for 'island'
"$LAMINA" eval "$SOURCE"/examples/penguins_multitask.yaml other.csv --weights=w.safetensors
