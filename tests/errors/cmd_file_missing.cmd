# EXIT 2
# SAYS lamina check: expected 1 file, found 0
"$LAMINA" check
