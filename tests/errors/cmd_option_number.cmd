# EXIT 2
# SAYS lamina check: --max-batch: expected a whole number from 1 to 1048576, found '0'
"$LAMINA" check net.yaml --max-batch 0
