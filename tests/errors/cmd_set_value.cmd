# EXIT 3
# ERROR expected a value, found nothing: '~' is what YAML writes for that
"$LAMINA" check "$SOURCE"/examples/linear_regression.yaml --set=train.epochs=
