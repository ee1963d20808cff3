# EXIT 3
# ERROR assign: expected every operator in a kernel after plan_memory, found one outside
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory | sed "0,/^  return/s//  assign @logits.bias %logits.bias\n&/" >net.lmir
"$LAMINA" compile net.lmir -o net.so
