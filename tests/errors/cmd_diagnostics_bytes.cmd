# EXIT 3
# SAYS {"file":"ü�\"\n.yaml","severity":"error","message":"cannot be read: No such file or directory","notes":[]}
"$LAMINA" check "$(printf 'ü\377"\n.yaml')" --diagnostics=json
