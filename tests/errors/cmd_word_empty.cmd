# EXIT 2
# SAYS lamina check: expected a file, found an empty word
# SAYS lamina dump: expected a file, found an empty word
"$LAMINA" check ''
"$LAMINA" dump -- ''
