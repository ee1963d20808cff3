# EXIT 1
# WARNING tensor 'prediction.bias' holds values that are not finite
# SAYS {"set": "test", "examples": 512, "loss": null}
net="$SOURCE"/examples/linear_regression.yaml
"$LAMINA" train "$net" --out=run --max-steps=1
weights=run/weights.safetensors
LC_ALL=C sed -i s/crc32/other/ $weights # no checksum then, as of another program
printf '\377\377\377\377' | dd of=$weights bs=1 conv=notrunc seek=$(($(stat -c %s $weights) - 4)) 2>/dev/null
"$LAMINA" eval "$net" --weights=$weights --json >out
code=$?
cat out >&2
exit $code
