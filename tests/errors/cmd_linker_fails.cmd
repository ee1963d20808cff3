# EXIT 3
# ERROR the linker 'ld' failed: out of luck
mkdir bin
printf '#!/bin/sh\necho out of luck\nexit 1\n' >bin/ld
chmod +x bin/ld
PATH=$PWD/bin:$PATH "$LAMINA" compile "$TESTS"/nets/mlp.yaml -o net.so
