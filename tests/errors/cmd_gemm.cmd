# EXIT 3
# ERROR --gemm: expected auto, generated or openblas, found 'openblass'; did you mean 'openblas'?
"$LAMINA" check "$TESTS"/nets/mlp.yaml --gemm=openblass
