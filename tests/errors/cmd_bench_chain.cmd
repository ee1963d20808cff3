# EXIT 3
# ERROR kernel 'image.scale' is measured in no chain: expected a module that pass chain left alone
"$LAMINA" dump "$SOURCE"/examples/fashion_cnn.yaml --after=plan_memory >net.lmir
"$LAMINA" bench net.lmir --roofline --seconds=0.01
