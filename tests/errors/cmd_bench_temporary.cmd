# EXIT 3
# ERROR none: no temporary folder can be made there: No such file or directory
TMPDIR=none "$LAMINA" bench "$TESTS"/nets/mlp.yaml
