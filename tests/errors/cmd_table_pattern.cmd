# EXIT 3
# ERROR data/*.csv: expected files of such names, found none
sed 's!{split: 0.1}!{format: csv, path: "data/*.csv", columns: {x: a..c, y: k}}!' "$TESTS"/errors/data_split_of_train.yaml >net.yaml
"$LAMINA" train net.yaml --out=run
