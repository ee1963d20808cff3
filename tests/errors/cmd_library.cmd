# EXIT 3
# ERROR net.so: cannot load: ./net.so: file too short
touch net.so
"$LAMINA" inspect net.so
