# EXIT 3
# ERROR --emit: expected so, archive, obj, llvm, asm, header or ir, found 'arhive'; did you mean 'archive'?
"$LAMINA" compile "$TESTS"/nets/mlp.yaml --emit=arhive
