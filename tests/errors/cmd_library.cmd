# EXIT 3
# ERROR net.so: not a compiled network: expected a shared object for this machine
touch net.so
"$LAMINA" inspect net.so
