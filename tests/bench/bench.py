#!/usr/bin/env python3
"""Compare Lamina with its peers in one run and write Markdown; run.sh builds what this needs and calls it.

Each configuration starts every side as a process of its own, checks that all compute the same ten losses, and then
measures them in turn, round after round. A cell is the median; its ratio is the median of the paired ratios to Lamina.
sides.py has the processes, contractions.py what is smaller than a net, figures.py and report.py what is written.
"""
import argparse
import os
import statistics
import subprocess
import sys
import time

from contractions import ONEDNN, measure_contractions
from figures import COMPILE_GOALS, PROTOTYPE_BATCHES
from report import report
from sides import HERE, LAMINA, PROTOTYPE, Failed, Process, Prototype, find_peers, find_prototype
from training import measure_training

CHECK_RATES = {"large": 1e-4, "cnn": 3e-4}  # else 1e-3, where these two magnify rounding: peers differ by as much too


def compile_time(a, source, library, *options):
    """The median time to make the library."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([a.lamina, "compile", source, "-o", library, *options], check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def losses_at(a, library, batch, threads, rate):
    """Lamina's."""
    side = Process([os.path.join(a.build, "step"), library, str(batch), str(threads), str(rate)], threads, a.log)
    side.open()
    side.close()
    return side.losses


def sides_of(a, net, batch, threads, library):
    words = [str(batch), str(threads), str(CHECK_RATES.get(net, 1e-3))]
    out = {LAMINA: lambda: Process([os.path.join(a.build, "step"), library, *words], threads, a.log)}
    if a.prototype and batch > 1:
        # which knows one rate only
        wanted = lambda: losses_at(a, library, batch, threads, Prototype.rate)
        out[PROTOTYPE] = lambda: Prototype(a.prototype, net, batch, threads, a.log, wanted)
    for name, peer in a.peers.items():
        if peer:
            interpreter, script, arguments, env = peer
            command = [interpreter, os.path.join(HERE, script), net, *words, *arguments]
            out[name] = lambda command=command, env=env: Process(command, threads, a.log, **env)
    return out


def same_losses(ours, theirs, tolerance):
    """Relative, but a loss that has fallen to nothing may differ by nothing."""
    return theirs is None or all(abs(x - y) <= tolerance * (abs(x) + 0.01 * ours[0]) for x, y in zip(ours, theirs))


def gave_up(name, reason):
    print(f"{name}: {reason}", file=sys.stderr)
    if name == LAMINA:
        raise reason


def open_sides(makers, dump):
    """Those that start and agree with Lamina; the others say why in the log."""
    sides = {}
    for name, make in makers.items():
        try:
            side = make()
            side.open()
            if name == LAMINA and dump:
                side.ask("dump " + dump)
            wanted = side.wanted() if side.wanted else sides.get(LAMINA, side).losses
            if not same_losses(wanted, side.losses, side.tolerance):
                raise Failed(f"losses differ: {side.losses} and {wanted}")
            sides[name] = side
        except Failed as e:
            gave_up(name, e)
    return sides


def rounds_of(a, net, batch, what):
    """All where the figures rest on pairs with the prototype; half elsewhere, which keeps a run short."""
    paired = what == "train" and net != "large" and batch in PROTOTYPE_BATCHES
    return a.rounds if paired else max(3, a.rounds // 2)


def measure_rounds(a, sides, what, rounds):
    """{side: [seconds]}; the first round warms up. A side that ends is left out."""
    out = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name in list(out):
            try:
                seconds = sides[name].seconds(what, a.seconds)
            except Failed as e:
                gave_up(name, e)
                del out[name], sides[name]
                continue
            if number:
                out[name].append(seconds)
    return out


def measure(a, net, batch, threads):
    """{side: {"train": [seconds], "infer": [seconds], "first": ..., "peak": ..., "note": ...}}"""
    library = os.path.join(a.build, f"{net}_{batch}.so")
    compiled = compile_time(a, os.path.join(HERE, "nets", net + ".yaml"), library, f"--max-batch={batch}")
    dump = os.path.join(a.prototype, "build", f"init_{net}_{batch}.bin") if a.prototype else None
    sides = open_sides(sides_of(a, net, batch, threads, library), dump)
    out = {name: dict(side.facts) for name, side in sides.items()}
    out[LAMINA].update(compile=compiled, library=os.path.getsize(library))
    for what in ("train", "infer"):
        for name, times in measure_rounds(a, sides, what, rounds_of(a, net, batch, what)).items():
            out[name][what] = times
    for side in sides.values():
        side.close()
    return out


def measure_nets(a):
    results = {}
    for net in a.nets.split(",") if a.nets != "none" else []:
        for batch in a.batches:
            for threads in a.threads:
                progress(f"{net}, batch {batch}, {threads} thread(s)")
                results[net, batch, threads] = measure(a, net, batch, threads)
    return results


def compile_examples(a):
    examples = os.path.join(HERE, "..", "..", "examples")
    return {name: compile_time(a, os.path.join(examples, name + ".yaml"), os.path.join(a.build, name + ".so"))
            for name in COMPILE_GOALS}


def progress(text):
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def numbers(text):
    return [int(v) for v in text.split(",")]


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--lamina", required=True)
    p.add_argument("--build", required=True, help="directory with step, gemm and onednn, for everything made here")
    p.add_argument("--nets", default="mlp,cnn,large", help="none: only contractions; real training has mlp and cnn")
    p.add_argument("--batches", type=numbers, default=[1, 8, 32, 128])
    p.add_argument("--threads", type=numbers, default=[1, 2])
    p.add_argument("--rounds", type=int, default=15)
    p.add_argument("--seconds", type=float, default=0.2, help="of one measurement")
    p.add_argument("--peers", default="", help="only those whose names contain one of these: prototype,Debian,oneDNN")
    p.add_argument("--no-contractions", action="store_true")
    p.add_argument("--no-training", action="store_true")
    p.add_argument("--out", help="file for the Markdown (default: stdout)")
    return p.parse_args()


def main():
    a = arguments()
    a.log = open(os.path.join(a.build, "log.txt"), "w")
    progress("looking for peers; what they say goes to " + a.log.name)
    wanted = lambda name: any(word in name for word in a.peers.split(","))
    onednn = os.path.join(a.build, "onednn")
    a.onednn = onednn if wanted(ONEDNN) and os.path.exists(onednn) else None
    a.prototype = find_prototype(a.build, a.log) if wanted(PROTOTYPE) else None
    a.peers = {name: wanted(name) and peer or None for name, peer in find_peers(a.build, a.log).items()}
    compile_seconds = compile_examples(a)
    results = measure_nets(a)
    cases = [] if a.no_contractions else measure_contractions(a, progress)
    training = [] if a.no_training else measure_training(a, progress)
    text = report(a, results, cases, training, compile_seconds)
    progress("done")
    if a.out:
        with open(a.out, "w") as f:
            f.write(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
