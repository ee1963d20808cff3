# EXIT 3
# ERROR --measure: expected kernels of our own, found products left to OpenBLAS
"$LAMINA" summary "$TESTS"/nets/mlp.yaml --partition --stages=2 --measure --gemm=openblas
