#!/usr/bin/env python3
"""Write rates.txt: what PyTorch's schedulers make of a learning rate, for tests/unit/test_rates.c.

Lines:  rate KIND WARMUP FROM NUMBERS... (as in runtime/lamina_abi.h, lengths in steps) / at STEP VALUE
PyTorch's rates are doubles. Where its scheduler is none of ours but can make it (MultiStepLR with factors, PolynomialLR
that ends at 0, LambdaLR), the lambda or the factors stand here. Keras-only numbers (m_mul) have no line.
"""
import math
import torch
from torch.optim import lr_scheduler as lr

STEPS = [0, 1, 2, 3, 5, 7, 9, 10, 11, 14, 15, 19, 20, 21, 29, 30, 31, 45, 59, 60, 69, 70, 99, 100, 101, 149, 150]


def rates(first, make, most):
    p = torch.nn.Parameter(torch.zeros(1))
    o = torch.optim.SGD([p], lr=first)
    s = make(o)
    for t in range(most + 1):
        yield o.param_groups[0]["lr"]
        o.step()
        s.step()


def write(f, kind, numbers, first, make, most=150, warmup=0, start=0.0):
    f.write("rate %s %g %.17g %s\n" % (kind, warmup, start, " ".join("%.17g" % n for n in numbers)))
    for t, v in enumerate(rates(first, make, most)):
        if t in STEPS:
            f.write("at %d %.17g\n" % (t, v))


def warm(o, n, factor, then):
    """Linear from factor times the rate to the rate, then another scheduler."""
    return lr.SequentialLR(o, [lr.LinearLR(o, start_factor=factor, total_iters=n), then(o)], milestones=[n])


def main():
    with open(__file__.replace("rates.py", "rates.txt"), "w") as f:
        cosine = lambda o: lr.CosineAnnealingLR(o, T_max=100, eta_min=0.00001)
        write(f, "constant", [0.02], 0.02, lambda o: lr.LinearLR(o, start_factor=0.25, total_iters=15), 150, 15, 0.005)
        write(f, "step", [0.1, 30, 0.1], 0.1, lambda o: lr.StepLR(o, step_size=30, gamma=0.1))
        write(f, "step", [0.1, 10, 0.5], 0.1, lambda o: warm(o, 10, 0.1, lambda p: lr.StepLR(p, 10, 0.5)), 150, 10,
              0.01)
        write(f, "piecewise", [0.1, 0.01, 0.001, 20, 70], 0.1, lambda o: lr.MultiStepLR(o, [20, 70], gamma=0.1))
        write(f, "exponential", [0.1, 1, 0.97], 0.1, lambda o: lr.ExponentialLR(o, gamma=0.97))
        write(f, "exponential", [0.1, 20, 0.5], 0.1, lambda o: lr.LambdaLR(o, lambda t: 0.5 ** (t / 20)))
        write(f, "polynomial", [0.1, 100, 0, 2], 0.1, lambda o: lr.PolynomialLR(o, total_iters=100, power=2))
        write(f, "polynomial", [0.1, 60, 0.04, 1], 0.1, lambda o: lr.LinearLR(o, 1.0, 0.4, total_iters=60))
        write(f, "cosine", [0.001, 100, 0.00001], 0.001, cosine, 100)
        write(f, "cosine", [0.001, 100, 0.00001], 0.001, lambda o: warm(o, 20, 0.1, cosine), 120, 20, 0.0001)
        write(f, "cosine_restarts", [0.05, 10, 0.001, 2, 1], 0.05,
              lambda o: lr.CosineAnnealingWarmRestarts(o, T_0=10, T_mult=2, eta_min=0.001))
        write(f, "cosine_restarts", [0.05, 15, 0, 1, 1], 0.05, lambda o: lr.CosineAnnealingWarmRestarts(o, T_0=15))
        write(f, "one_cycle", [0.1, 101, 0.3, 25, 10000], 0.1, lambda o: lr.OneCycleLR(o, 0.1, total_steps=101), 99)
        write(f, "one_cycle", [0.2, 70, 0.45, 10, 100], 0.2,
              lambda o: lr.OneCycleLR(o, 0.2, total_steps=70, pct_start=0.45, div_factor=10, final_div_factor=100), 69)
        write(f, "inverse_sqrt", [0.01, 30], 0.01,
              lambda o: warm(o, 30, 1e-9, lambda p: lr.LambdaLR(p, lambda t: math.sqrt(30 / (30 + t)))), 150, 30, 1e-11)


main()
