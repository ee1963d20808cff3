# EXIT 3
# ERROR --part: expected one of one, two, scores; found 'three'
sed 's/{coupling: local, rounds: 0}/{coupling: local}/' "$TESTS"/errors/staging_rounds.yaml >net.yaml
"$LAMINA" check net.yaml --part=three
