# EXIT 1
# WARNING loss over the test data is not finite: input 'x': record 7: expected finite values, found nan
cp "$SOURCE"/examples/data/linear-*.idx .
sed 's#data/##g' "$SOURCE"/examples/linear_regression.yaml >net.yaml
"$LAMINA" train net.yaml --out=run --max-steps=1
printf '\177\300\0\0' | dd of=linear-test-x.idx bs=4 seek=$((3 + 7 * 10)) conv=notrunc 2>/dev/null
"$LAMINA" eval net.yaml --weights=run/weights.safetensors
