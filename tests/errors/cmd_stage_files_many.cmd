# EXIT 3
# ERROR stages: expected at most 65536 layers with those of files, found more
echo '{inputs: {x: [2]}, layers: [{dense: 2}, {dense: 2}]}' >0.yaml
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
    echo "{inputs: {x: [2]}, stages: [{name: a, net: $((i - 1)).yaml}, {name: b, net: $((i - 1)).yaml, inputs: {x: a}}]}" >$i.yaml
done
"$LAMINA" check 16.yaml
