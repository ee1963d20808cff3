# EXIT 2
# SAYS lamina check: expected a value after '--cpu'
"$LAMINA" check net.yaml --cpu
