# EXIT 2
# SAYS lamina: expected a command, found 'everything' ('lamina --help' lists them)
"$LAMINA" everything
