# EXIT 0
# SAYS given (512 examples):
# The records of each set are those that training had, by its seed: the log says the same of them.
sed 's#data/#'"$SOURCE"'/examples/data/#g; s#^  test:.*#  test: {split: 0.1}\n  validation: {split: 0.2}#' \
    "$SOURCE"/examples/linear_regression.yaml >net.yaml
"$LAMINA" train net.yaml --out=run --seed=9 --epochs=2 | grep -o '^test (.*' >trained
eval="$LAMINA eval net.yaml --weights=run/weights.safetensors"
$eval >tested && cmp trained tested || exit 1
logged=$(sed -n 's/.*"validation": {"loss": \([0-9]\.[0-9]\{6\}\).*/\1/p' run/log.jsonl | tail -1)
test -n "$logged" || exit 1
$eval --set=validation --seed=9 --json | grep -q "\"examples\": 737, \"loss\": $logged" || exit 1
$eval --set=validation --json | grep -q "\"loss\": $logged" && exit 1
$eval --set=train --seed=9 | grep -q '^train (2949 examples)' || exit 1
data="$SOURCE"/examples/data/linear
$eval x=$data-test-x.idx y=$data-test-y.idx | cut -d " " -f 1-3 >&2
