# EXIT 3
# ERROR --data: expected a network with losses, found none
sed "/^ *y: /d; /^losses/,/^optimizer/d; s#, y: [^}]*}#}#; s#data/#$SOURCE/examples/data/#g" \
    "$SOURCE"/examples/linear_regression.yaml >net.yaml
"$LAMINA" bench net.yaml --data
