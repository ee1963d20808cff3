"""Real training: examples a second of whole epochs on Fashion-MNIST, for bench.py. Values that nobody made up cost
something else than random ones, and something else again once a network has learned; batches are gathered too."""
import json
import os
import subprocess
import sys

from sides import HERE, LAMINA, environment

EXAMPLES = os.path.join(HERE, "..", "..", "examples")
EPOCHS = {"mlp": 5, "cnn": 3}  # the net fashion_NAME for so long; peer.py has the same nets


class Case:
    """rates: {side: [[examples a second of each epoch] for each round]}"""

    def __init__(self, net, threads):
        self.net, self.threads, self.rates = net, threads, {}


def run(command, threads, log, **env):
    cpus = sorted(os.sched_getaffinity(0))[:threads]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment(threads, **env),
                          preexec_fn=lambda: os.sched_setaffinity(0, cpus), check=True).stdout


def lamina_rates(a, net, threads):
    """Compiling it is not in the time, and of inference the least is measured."""
    out = run([a.lamina, "bench", os.path.join(EXAMPLES, f"fashion_{net}.yaml"), "--data", f"--epochs={EPOCHS[net]}",
               f"--threads={threads}", "--seconds=0.001", "--json"], threads, a.log)
    return [epoch["examples_per_s"] for epoch in json.loads(out)["data"]["epochs"]]


def peer_rates(a, peer, net, threads):
    interpreter, _, arguments, env = peer
    out = run([interpreter, os.path.join(HERE, "peer_training.py"), net, str(threads), str(EPOCHS[net]), *arguments],
              threads, a.log, **env)
    return [float(line) for line in out.split()]


def sides_of(a, case):
    sides = {LAMINA: lambda: lamina_rates(a, case.net, case.threads)}
    for name, peer in a.peers.items():
        if peer and peer[1] == "peer_torch.py":
            sides[name] = lambda peer=peer: peer_rates(a, peer, case.net, case.threads)
    return sides


def measure_case(a, case):
    """Sides in turn, round after round; one that fails is left out."""
    sides = sides_of(a, case)
    for _ in range(max(1, a.rounds // 5)):
        for name in list(sides):
            try:
                case.rates.setdefault(name, []).append(sides[name]())
            except subprocess.CalledProcessError as e:
                print(f"{name}: {e}", file=sys.stderr)
                if name == LAMINA:
                    raise
                case.rates.pop(name, None)
                del sides[name]
    return case


def measure_training(a, progress):
    if not os.path.exists(os.path.join(EXAMPLES, "data", "train-images-idx3-ubyte.gz")):
        progress("no real training: examples/data.sh has not made the data")
        return []
    cases = [Case(net, threads) for net in EPOCHS if net in a.nets.split(",") for threads in a.threads]
    for case in cases:
        progress(f"training fashion_{case.net}, {case.threads} thread(s)")
        measure_case(a, case)
    return cases
