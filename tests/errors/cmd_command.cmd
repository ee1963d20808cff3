# EXIT 2
# SAYS lamina: expected a command, found 'trian'; did you mean 'train'?
"$LAMINA" trian
