# EXIT 3
# ERROR cannot be read: File too large
"$LAMINA" check /dev/zero
