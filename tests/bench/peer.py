"""What the Python sides of the bench share: the nets, the numbers that every side starts from, and the protocol.

A side is a program that is told NET BATCH THREADS RATE and writes
    first PEAK_BYTES        after one training step
    losses L0 ... L9        of ten steps with that rate from the shared start values
    note TEXT
then answers each line on stdin, `train SECONDS` or `infer SECONDS`, with the seconds that one operation takes.
"""
import os
import sys
import time

import numpy

RATE, CHECKED_STEPS = 1e-6, 10
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7
IMAGE, LABEL = 1000, 2000  # stand where a tensor's number does

NETS = {  # example's shape, classes, layers; a convolution is 3x3 and keeps the size, a pool halves it
    "mlp": ((784,), 10, [("dense", 784, 128), ("relu",), ("dense", 128, 10)]),
    "cnn": ((28, 28, 1), 10,
            [("conv", 1, 32), ("relu",), ("pool",), ("conv", 32, 64), ("relu",), ("pool",), ("flatten", 7, 7, 64),
             ("dense", 3136, 128), ("relu",), ("dense", 128, 10)]),
    "large": ((1024,), 1024, [("dense", 1024, 2048), ("relu",), ("dense", 2048, 2048), ("relu",),
                              ("dense", 2048, 1024)]),
}


def bits(tensor, count):
    """24 well mixed bits for each element; side.h has the same in C."""
    u = numpy.arange(count, dtype=numpy.uint32) * numpy.uint32(2654435761)
    u += numpy.uint32((tensor + 1) * 2246822519 % 2**32)
    u = (u ^ u >> numpy.uint32(16)) * numpy.uint32(2246822507)
    u = (u ^ u >> numpy.uint32(13)) * numpy.uint32(3266489909)
    return (u ^ u >> numpy.uint32(16)) >> numpy.uint32(8)


def values(tensor, count):
    """In [-1, 1)."""
    return bits(tensor, count).astype(numpy.float32) * numpy.float32(2.0**-23) - numpy.float32(1)


def parameter(tensor, shape):
    count = int(numpy.prod(shape))
    limit = (3.0 * shape[-1] / count)**0.5 if len(shape) > 1 else 0.1
    return (values(tensor, count) * numpy.float32(limit)).reshape(shape)


def parameters(net):
    """Weight and bias of each layer that has them, in Lamina's layout: [in, out] or [rows, columns, in, out]."""
    out = []
    for kind, *sizes in NETS[net][2]:
        if kind in ("dense", "conv"):
            shape = tuple(sizes) if kind == "dense" else (3, 3, *sizes)
            out.append((parameter(2 * len(out), shape), parameter(2 * len(out) + 1, (sizes[1],))))
    return out


def data(net, batch):
    """Images, channels last, and labels. Pixels have both signs: else half of a dense layer's units would be off for
    every example, and their moments would decay to denormals."""
    shape, classes, _ = NETS[net]
    image = bits(IMAGE, batch * int(numpy.prod(shape))).astype(numpy.float32) * numpy.float32(2.0**-24)
    image -= numpy.float32(0.5)
    return image.reshape(batch, *shape), (bits(LABEL, batch) % numpy.uint32(classes)).astype(numpy.int64)


def seconds_of(operation, seconds):
    """Seconds that one operation takes, over at least `seconds` of them."""
    done, run = 0, 1
    start = before = time.perf_counter()
    while True:
        for _ in range(run):
            operation()
        done += run
        now = time.perf_counter()
        if now - start >= seconds:
            return (now - start) / done
        if now - before < seconds / 16:
            run *= 2
        before = now


def peak_memory():
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM"))


def package_bytes(module):
    total = 0
    for folder, _, files in os.walk(os.path.dirname(module.__file__)):
        paths = [os.path.join(folder, f) for f in files]
        total += sum(os.path.getsize(p) for p in paths if os.path.exists(p))  # a link may lead nowhere
    return total


def say(*words):
    print(*words, flush=True)


def serve(operations):
    """Answer until stdin ends: {"train": a function of no arguments, ...}"""
    for line in sys.stdin:
        word, seconds = line.split()
        say(f"{seconds_of(operations[word], float(seconds)):.9g}")
