# EXIT 2
# SAYS lamina check: expected a known option, found '--max-bach=3'; did you mean '--max-batch'?
"$LAMINA" check net.yaml --max-bach=3
