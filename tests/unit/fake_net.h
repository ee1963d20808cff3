/* tests/unit/fake_net.h - a compiled network written by hand, to test the runtime without the compiler. */
#ifndef TESTS_FAKE_NET_H
#define TESTS_FAKE_NET_H

#include "runtime/lamina_abi.h"

enum { FAKE_INPUTS = 3, FAKE_MAX_BATCH = 8 };

/* y = x w + b, squared error, gradient descent. Two stages: the product, and the bias with the loss. */
const lamina_net *fake_net_query(int32_t abi_major);

#endif
