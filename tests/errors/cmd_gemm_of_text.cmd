# EXIT 3
# ERROR the text is past pass select already: --gemm=openblas cannot change it
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=select >net.lmir
"$LAMINA" compile net.lmir --gemm=openblas
