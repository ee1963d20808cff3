# EXIT 3
# ERROR no linker is installed, expected ld, ld.lld or cc on the PATH
# NOTE --emit=archive and --emit=obj need none
PATH=/nowhere "$LAMINA" compile "$TESTS"/nets/mlp.yaml -o net.so
