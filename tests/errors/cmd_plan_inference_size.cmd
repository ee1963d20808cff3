# EXIT 3
# ERROR inference_worker_bytes: expected at most workspace_worker_bytes, 0, found 64
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory | sed "1s/inference_worker_bytes = .[0-9]*/inference_worker_bytes = [64/" >net.lmir
"$LAMINA" compile net.lmir -o net.so
