# EXIT 3
# ERROR cannot be read: No such file or directory
"$LAMINA" dump no-such.lmir
