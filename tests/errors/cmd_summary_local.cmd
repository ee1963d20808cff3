# EXIT 3
# ERROR stages are cut where all layers learn together, found coupling: local
sed 's/{coupling: local, rounds: 0}/{coupling: local}/' "$TESTS"/errors/staging_rounds.yaml >net.yaml
"$LAMINA" summary net.yaml --partition
