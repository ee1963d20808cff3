#!/usr/bin/env python3
"""JAX's side of the bench: peer_jax.py NET BATCH THREADS RATE. The whole step is one jitted function whose state is
donated.

XLA starts a thread for each processor it may use, so THREADS are what the affinity allows.
"""
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy

import peer


def forward(net, parameters, x):
    left = iter(parameters)
    for kind, *_ in peer.NETS[net][2]:
        if kind == "dense":
            w, b = next(left)
            x = x @ w + b
        elif kind == "conv":
            w, b = next(left)
            x = jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")) + b
        elif kind == "relu":
            x = jax.nn.relu(x)
        elif kind == "pool":
            x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        else:
            x = x.reshape(x.shape[0], -1)
    return x


def loss_of(net, parameters, x, y):
    z = jax.nn.log_softmax(forward(net, parameters, x))
    return -jnp.mean(jnp.take_along_axis(z, y[:, None], 1))


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def train(net, state, rate, x, y):
    p, m, v, t = state
    loss, g = jax.value_and_grad(partial(loss_of, net))(p, x, y)
    t = t + 1
    b1, b2 = peer.BETA_1, peer.BETA_2
    m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, m, g)
    v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, v, g)
    root = jnp.sqrt(1 - b2**t)
    p = jax.tree.map(lambda p, m, v: p - rate * root / (1 - b1**t) * m / (jnp.sqrt(v) + peer.EPSILON * root), p, m, v)
    return (p, m, v, t), loss


infer = jax.jit(forward, static_argnums=0)


def start(net):
    p = [tuple(map(jnp.array, pair)) for pair in peer.parameters(net)]
    return p, jax.tree.map(jnp.zeros_like, p), jax.tree.map(jnp.zeros_like, p), jnp.float32(0)


class Side:
    def __init__(self, net, batch):
        image, label = peer.data(net, batch)
        self.net, self.x, self.y = net, jnp.array(image), jnp.array(label.astype(numpy.int32))
        self.state, self.rate = start(net), jnp.float32(peer.RATE)

    def train(self):
        self.state, loss = train(self.net, self.state, self.rate, self.x, self.y)
        return jax.block_until_ready(loss)

    def infer(self):
        return jax.block_until_ready(infer(self.net, self.state[0], self.x))


def main():
    net, batch, _, rate = sys.argv[1:]
    side = Side(net, int(batch))
    side.train()
    peer.say("first", peer.peak_memory())
    side.state, side.rate = start(net), jnp.float32(rate)
    peer.say("losses", *[f"{float(side.train()):.9g}" for _ in range(peer.CHECKED_STEPS)])
    side.rate = jnp.float32(peer.RATE)
    import jaxlib
    peer.say(f"note {jax.__version__}, package={peer.package_bytes(jaxlib) + peer.package_bytes(jax)}")
    peer.serve({"train": side.train, "infer": side.infer})


if __name__ == "__main__":
    main()
