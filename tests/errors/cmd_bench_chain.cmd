# EXIT 3
# ERROR kernel 'conv1.forward' is measured in no chain: expected a module that pass chain left alone
"$LAMINA" dump "$TESTS"/nets/cnn.yaml --after=plan_memory >net.lmir
"$LAMINA" bench net.lmir --roofline --seconds=0.01
