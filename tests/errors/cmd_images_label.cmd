# EXIT 3
# ERROR pets: input 'label': record 2: expected a label in 0 .. 1, found 2
# ERROR pets/a/1.pgm: expected a picture of 1 x 3 (rows x columns), found 1 x 2; 'resize' makes them fit
cat >net.yaml <<'END'
inputs: {image: {shape: [1, 2], dtype: uint8, scale: 1/255}, label: {shape: [], dtype: int32}}
layers: [flatten, dense: {name: logits, units: 2}]
losses: [softmax_cross_entropy: {labels: label}]
optimizer: sgd
data:
  train: {format: images, path: pets, image: pixels, label: class}
END
mkdir -p pets/a pets/b pets/c
printf 'P5 2 1 255\n\1\2' | tee pets/a/1.pgm pets/b/2.pgm >pets/c/3.pgm
"$LAMINA" data net.yaml
"$LAMINA" data net.yaml --set inputs.image.shape='[1, 3]'
