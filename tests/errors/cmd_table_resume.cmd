# EXIT 0
# SAYS {"set": "test", "examples": 12, "loss": null}
# SAYS {"set": "validation", "examples": 12, "loss": null}
# SAYS {"set": "train", "examples": 36, "loss": null}
sed 's#{split: 0.1}#{format: csv, path: t.csv, columns: {x: a..c, y: k}, categories: [k]}#' "$TESTS"/errors/data_split_of_train.yaml >net.yaml
printf '  validation: {split: 0.25, stratify: y}\n  test: {split: 0.2, stratify: y}\ntrain: {epochs: 4, batch: 8}\n' >>net.yaml
{ echo a,b,c,k; for i in $(seq 60); do echo "$i,$((i % 7)).5,-$((i % 4)),k$((i % 3))"; done; } >t.csv
"$LAMINA" train net.yaml --out=whole >/dev/null || exit
"$LAMINA" train net.yaml --out=parts --max-steps=7 >/dev/null || exit
"$LAMINA" train net.yaml --out=parts --resume >/dev/null || exit
cmp whole/weights.safetensors parts/weights.safetensors || exit
for set in test validation train; do
    "$LAMINA" eval net.yaml --weights=whole/weights.safetensors --json --set=$set | sed 's/"loss": .*}/"loss": null}/' >&2
done
sed -i "s/^3/4/" t.csv # other records: not the data of that run
"$LAMINA" train net.yaml --out=parts --resume --epochs=5 >/dev/null 2>&1
[ $? = 3 ]
