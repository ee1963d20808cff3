# EXIT 3
# ERROR part-2.csv:3:5: column 'c': expected a number for input 'x', found 'far'
sed 's#{split: 0.1}#{format: csv, path: part-*.csv, columns: {x: a..c, y: k}}#' "$TESTS"/errors/data_split_of_train.yaml >net.yaml
printf 'a,b,c,k\n1,2,3,0\n' >part-1.csv
printf 'a,b,c,k\n1,2,3,0\n4,5,far,1\n' >part-2.csv
"$LAMINA" train net.yaml --out=run
