# EXIT 3
# ERROR unknown target 'riscv64-unknown-linux-gnu', expected 'x86_64-unknown-linux-gnu'
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory | sed "s/x86_64-unknown/riscv64-unknown/" >net.lmir
"$LAMINA" compile net.lmir -o net.so
