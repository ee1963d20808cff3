# EXIT 3
# ERROR cannot be read: No such file or directory
"$LAMINA" partition no_such.yaml --stages=2
