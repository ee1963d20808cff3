# EXIT 0
# SAYS test (512 examples):
# Averages stand in a weights file in place of the parameters, in a checkpoint beside them. Inference reads averages, from
# whichever file; a library that has none reads a weights file all the same.
sed 's#data/#'"$SOURCE"'/examples/data/#g' "$SOURCE"/examples/linear_regression.yaml >plain.yaml
sed 's#^train: {#&averaging: {swa: {start: 9, every: 5}}, #' plain.yaml >net.yaml
cmp -s plain.yaml net.yaml && exit 1
"$LAMINA" train net.yaml --out=run --epochs=2 | grep -o '^test (.*' >trained
"$LAMINA" train plain.yaml --out=plain --epochs=2 | grep -o '^test (.*' >unlike
cmp -s trained unlike && exit 1
"$LAMINA" eval net.yaml --weights=run/weights.safetensors >tested && cmp trained tested || exit 1
"$LAMINA" eval net.yaml --weights=run/checkpoint/last.safetensors >tested && cmp trained tested || exit 1
grep -q average/ run/weights.safetensors && exit 1
"$LAMINA" eval plain.yaml --weights=run/weights.safetensors >tested && cmp trained tested || exit 1
cut -d " " -f 1-3 tested >&2
