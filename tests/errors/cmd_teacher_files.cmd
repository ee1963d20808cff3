# EXIT 3
# ERROR none.yaml: cannot be read: No such file or directory
# ERROR dense: key 'unit' is unknown, did you mean 'units'?
# ERROR missing.safetensors: cannot open: No such file or directory
# ERROR other/weights.safetensors: tensors that differ from those of network 'student_teacher': 'prediction.weight' expected F32[3, 1], found F32[10, 1]
sed "s# data/# $SOURCE/examples/data/#g" "$SOURCE"/examples/linear_regression.yaml >other.yaml
sed "s#^layers:#layers:\n  - dense: 3#" other.yaml >big.yaml
sed "s#^layers:#layers:\n  - dense: {unit: 3}#" other.yaml >broken.yaml
student() {
    (sed "/^name/d" other.yaml; echo "teacher: {net: $1, weights: $2}") >student.yaml
}
student none.yaml missing.safetensors
"$LAMINA" check student.yaml
student broken.yaml missing.safetensors
"$LAMINA" check student.yaml
student big.yaml missing.safetensors
"$LAMINA" train student.yaml --out=run
"$LAMINA" train other.yaml --out=other --max-steps=1
student big.yaml other/weights.safetensors
"$LAMINA" train student.yaml --out=run
