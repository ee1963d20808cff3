# EXIT 3
# ERROR data/t10k-labels-idx1-ubyte.gz: input 'label': expected records with the value 11, found none
ln -s "$SOURCE"/examples/data data
sed 's/train-/t10k-/g; s/units: 10/units: 3/; s/ubyte.gz}/ubyte.gz, only: {label: [3, 11]}}/' "$SOURCE"/examples/fashion_mlp.yaml >net.yaml
"$LAMINA" train net.yaml
