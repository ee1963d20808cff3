# EXIT 2
# SAYS lamina predict: -o: expected a name that ends in .npy, .csv or .tsv, found 'p.txt'
# SAYS lamina predict: --top: expected a table, found '-o' with a name that ends in .npy
"$LAMINA" predict net.yaml --weights=w.safetensors -o p.npy --top=2
"$LAMINA" predict net.yaml --weights=w.safetensors -o p.txt
