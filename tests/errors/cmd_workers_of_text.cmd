# EXIT 3
# ERROR the text is past pass partition already: --workers=2 cannot change it
"$LAMINA" dump "$TESTS"/nets/mlp.yaml --after=partition >net.lmir
"$LAMINA" compile net.lmir --workers=2
