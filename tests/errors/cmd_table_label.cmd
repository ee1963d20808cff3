# EXIT 3
# ERROR t.csv: input 'y': record 1: expected a label in 0 .. 2, found 3
sed 's#{split: 0.1}#{format: csv, path: t.csv, columns: {x: a..c, y: k}}#' "$TESTS"/errors/data_split_of_train.yaml >net.yaml
printf 'a,b,c,k\n1,2,3,0\n1,2,3,3\n' >t.csv
"$LAMINA" train net.yaml --out=run
