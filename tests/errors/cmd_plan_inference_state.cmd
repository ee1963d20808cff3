# EXIT 3
# ERROR symbol 'metric.examples': expected it to end within the 128 bytes of state that inference has, found its end at 136
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory | sed "1s/inference_state_bytes = .[0-9]*/inference_state_bytes = [128/" >net.lmir
"$LAMINA" compile net.lmir -o net.so
