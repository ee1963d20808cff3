# EXIT 3
# ERROR --autotune measures on this machine: expected --cpu=HOST, found nehalem
"$LAMINA" compile "$TESTS"/nets/mlp.yaml --autotune --cpu=nehalem 2>err
code=$?
sed 's/--cpu=[^,]*,/--cpu=HOST,/' err >&2
exit $code
