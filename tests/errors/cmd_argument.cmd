# EXIT 2
# SAYS lamina check: expected no further argument, found 'b.yaml'
"$LAMINA" check a.yaml b.yaml
