# EXIT 3
# ERROR expected a network in YAML or IR text, found a binary file
printf 'module @m\n\000' >net.lmir
"$LAMINA" check net.lmir
