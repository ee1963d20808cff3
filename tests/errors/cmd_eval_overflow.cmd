# EXIT 1
# WARNING loss over the test data is not finite, though all weights are
net="$SOURCE"/examples/linear_regression.yaml
"$LAMINA" train "$net" --out=run --max-steps=1
weights=run/weights.safetensors
LC_ALL=C sed -i s/crc32/other/ $weights # no checksum then, as of another program
printf '\377\377\177\177' | dd of=$weights bs=1 conv=notrunc seek=$(($(stat -c %s $weights) - 4)) 2>/dev/null
"$LAMINA" eval "$net" --weights=$weights
