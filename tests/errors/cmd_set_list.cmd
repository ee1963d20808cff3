# EXIT 3
# ERROR network: expected a mapping of sections, found [a, b]
printf -- '- a\n- b\n' >net.yaml
"$LAMINA" check net.yaml --set=a.b=1
