# EXIT 3
# ERROR t.libsvm:2:7: expected 'index:value' with an index from 3, found '1:7'
sed 's#{split: 0.1}#{format: libsvm, path: t.libsvm, columns: {x: 1..3, y: label}}#' "$TESTS"/errors/data_split_of_train.yaml >net.yaml
printf '0 1:2\n2 2:4 1:7\n' >t.libsvm
"$LAMINA" train net.yaml --out=run
