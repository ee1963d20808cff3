# EXIT 130
sed 's/^stages:/staging: {coupling: local}\nstages:/; s/through: hidden/through: hidden, head: auto/; s# data/# '"$SOURCE"'/examples/data/#g' \
    "$SOURCE"/examples/linear_two_stage.yaml >net.yaml
"$LAMINA" train net.yaml --out=run --epochs=1000000 &
train=$!
until [ -s run/log.jsonl ] || ! kill -0 $train; do sleep 0.1; done
kill -INT $train
wait $train
