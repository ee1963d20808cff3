# EXIT 0
# SAYS     label                                 0            1     0.333333         0  cats 2, dogs 1
# SAYS test (3 examples)
# SAYS given (1 examples)
# SAYS logits,logits=cats,logits=dogs
# ERROR expected one folder that holds a folder for each class, found 2 paths
cat >net.yaml <<'END'
inputs: {image: {shape: [1, 2], dtype: uint8, scale: 1/255}, label: {shape: [], dtype: int32}}
layers: [flatten, dense: {name: logits, units: 2}]
losses: [softmax_cross_entropy: {labels: label}]
optimizer: sgd
data:
  train: {format: images, path: pets, image: pixels, label: class}
  test: {format: images, path: pets}
END
mkdir -p pets/cats pets/dogs others/dogs
printf 'P5 2 1 255\n\1\2' | tee pets/cats/1.pgm pets/cats/2.pgm others/dogs/4.pgm >pets/dogs/3.pgm
"$LAMINA" data net.yaml | grep '^    label' | head -1 >&2
"$LAMINA" train net.yaml --out=run | grep -o 'test (3 examples)' >&2
"$LAMINA" eval net.yaml others --weights=run/weights.safetensors | grep -o 'given (1 examples)' >&2
"$LAMINA" eval net.yaml pets others --weights=run/weights.safetensors
"$LAMINA" predict net.yaml pets/dogs/3.pgm others --weights=run/weights.safetensors >out.csv
head -1 out.csv >&2
test "$(wc -l <out.csv)" = 3
