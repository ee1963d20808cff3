# EXIT 3
# ERROR expected 'max_batch' to be 16, for which pass select planned the kernels, found another
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --max-batch=16 --after=plan_memory | sed "s/max_batch = \[16\]/max_batch = [24]/" >net.lmir
"$LAMINA" compile net.lmir -o net.so
