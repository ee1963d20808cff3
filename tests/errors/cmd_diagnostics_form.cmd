# EXIT 2
# SAYS lamina check: --diagnostics: expected text or json, found 'xml'
"$LAMINA" check net.yaml --diagnostics=xml
