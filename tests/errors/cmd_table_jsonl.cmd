# EXIT 3
# ERROR t.jsonl:2:1: column 'v.2': expected a number for input 'x', found 'far'
sed 's#{split: 0.1}#{format: jsonl, path: t.jsonl, columns: {x: v.0..v.2, y: k}}#' "$TESTS"/errors/data_split_of_train.yaml >net.yaml
printf '{"v":[1,2,3],"k":0}\n{"k":1,"v":[1,2,"far"]}\n' >t.jsonl
"$LAMINA" train net.yaml --out=run
