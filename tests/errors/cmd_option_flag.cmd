# EXIT 2
# SAYS lamina check: expected no value, found '--remarks=yes'
"$LAMINA" check net.yaml --remarks=yes
