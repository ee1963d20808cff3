# EXIT 3
# SAYS {"file":"net.yaml","line":1,"column":14,"severity":"error","message":"input: key 'dtyp' is unknown, did you mean 'dtype'?","suggestion":"dtype","notes":[]}
# SAYS {"file":"net.yaml","line":3,"column":5,"severity":"error","message":"name 'dense1' is already taken","notes":[{"file":"net.yaml","line":2,"column":10,"message":"'dense1' is here"}]}
printf 'inputs: {x: {dtyp: uint8, shape: [3]}, y: [3]}\nlayers: [dense: {units: 2, input: y},\n    dense: {units: 3, name: dense1}]\n' >net.yaml
"$LAMINA" check net.yaml --diagnostics=json
