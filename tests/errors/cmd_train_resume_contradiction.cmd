# EXIT 3
# ERROR run/checkpoint/last.safetensors: contradicts itself: 'epoch' 9223372036854775807 and 'step' 0 of 128 an epoch, but 'total_steps' 3
# ERROR run/checkpoint/last.safetensors: contradicts itself: 'epoch' 0 and 'step' 2 of 128 an epoch, but 'total_steps' 3
# ERROR run/checkpoint/last.safetensors: contradicts itself: state 'step': expected 3, found 1
# ERROR run/checkpoint/last.safetensors: contradicts itself: state 'seed': expected 1, found 5
sed "s#data/#$SOURCE/examples/data/#g" "$SOURCE"/examples/linear_regression.yaml >net.yaml
"$LAMINA" train net.yaml --out=run --max-steps=3 --seed=1 --batch=32 >said
file=run/checkpoint/last.safetensors
cp $file whole
export LC_ALL=C
# A word of the metadata becomes another one as long, or a byte of the data another one; gzip knows the checksum.
seal() {
    sed -i 's/"crc32":"[0-9a-f]*"/"crc32":"00000000"/' $file
    sum=$(gzip -c $file | tail -c 8 | head -c 4 | od -An -tx4 | tr -d ' ')
    sed -i "s/\"crc32\":\"00000000\"/\"crc32\":\"$sum\"/" $file
}
resume() {
    seal
    "$LAMINA" train net.yaml --out=run --resume --seed=1 --batch=32
    code=$?
    cp whole $file
}
data=$((8 + $(od -An -N8 -td8 $file)))
change() { printf "\\$2" | dd of=$file bs=1 seek=$((data + $1)) conv=notrunc 2>said; }
length=$(od -An -N8 -td8 $file)
sed -i 's/"epoch":"0","step":"3"/"epoch":"9223372036854775807","step":"0"/' $file
printf "\\$(printf %o $(((length + 18) % 256)))\\$(printf %o $(((length + 18) / 256)))" |
    dd of=$file bs=1 conv=notrunc 2>said
resume
sed -i 's/"step":"3"/"step":"2"/' $file
resume
change 8 1
resume
change 0 5
resume
exit $code
