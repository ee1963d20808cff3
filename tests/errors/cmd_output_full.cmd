# EXIT 1
# SAYS lamina: the standard output cannot be written: No space left on device
"$LAMINA" --help >/dev/full
