# EXIT 3
# ERROR unknown CPU 'znver44', expected 'native' or LLVM's name of an x86-64 CPU
# NOTE did you mean 'znver4'
"$LAMINA" check "$TESTS"/nets/mlp.yaml --cpu=znver44
