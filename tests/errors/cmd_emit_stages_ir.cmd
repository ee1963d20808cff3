# EXIT 3
# ERROR --emit-stages: expected --emit=so, archive, obj, llvm, asm or header, found ir
"$LAMINA" compile "$TESTS"/nets/mlp.yaml --stages=2 --partition=auto --emit-stages --emit=ir
