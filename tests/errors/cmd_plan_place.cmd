# EXIT 3
# ERROR fused 'image.scale': expected a place in workspace, found none
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory | sed "s/ @workspace+[0-9]*$//" >net.lmir
"$LAMINA" compile net.lmir -o net.so
