# EXIT 3
# ERROR fused 'image.scale': expected it to end within the 64 bytes of workspace that inference has, found its end at 2816
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=plan_memory --cpu=haswell | sed "1s/inference_workspace_bytes = .[0-9]*/inference_workspace_bytes = [64/" >net.lmir
"$LAMINA" compile net.lmir -o net.so
