#!/usr/bin/env python3
"""The examples whose stages learn on their own, beside the same layers learned end to end, as Markdown.

    hierarchy.py LAMINA [--nets=a,b] [--seeds=5] [--threads=2] [--out=FILE]

Each example is trained as it stands, and once more without its sections staging, stages, combine and teacher: the same
layers, loss, optimizer, data and epochs (the file's, once), end to end. A row has the mean over the seeds of what `lamina eval` finds on the test
data and of the whole run of `lamina train`, compiling included: its seconds, the processor seconds that it used (cores x
seconds, which is what energy goes by), its peak of resident memory; and the bytes of the library that would ship.
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NETS = ["linear_two_stage_local", "fashion_mlp_staged", "wide_mlp_staged", "fashion_cnn_staged",
        "fashion_cnn_layerwise_autoencoder", "distill_cnn_to_mlp", "transfer_classes", "penguins_multitask_staged"]
# What an example needs first, as commands of lamina.
FIRST = {"distill_cnn_to_mlp": [["train", "fashion_cnn.yaml", "--out=runs/fashion_cnn", "--epochs=5"]]}
HIERARCHY = ("staging", "stages", "combine", "teacher")
# Where a stage is a file of its own, its layers are in `stages`, which then is coupled.
KEPT = {"transfer_classes": ("stages",)}


def end_to_end(net, text):
    """The YAML without the sections that make a hierarchy of it."""
    sections = re.split(r"(?m)^(?=[a-z_]+:)", text)
    return "".join(s for s in sections if s.split(":")[0] not in HIERARCHY or s.split(":")[0] in KEPT.get(net, ()))


def run(command, folder):
    """Seconds, processor seconds and peak MB of a command; None if it failed."""
    start = time.time()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        print(f"{' '.join(map(str, command))}: {said}", file=sys.stderr)
        return None
    return time.time() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def evaluated(lamina, net, weights, folder):
    out = subprocess.run([lamina, "eval", net, f"--weights={weights}", "--json"], cwd=folder, capture_output=True,
                         text=True, check=True).stdout
    return json.loads(out.splitlines()[0])


def values_of(found):
    """The metrics by name, wherever the line has them."""
    return {k: v for k, v in found.get("metrics", found.get("values", found)).items() if isinstance(v, float)}


def measure(args, net, folder):
    """Rows of (seconds, processor seconds, MB, metrics) for each seed, and the library's bytes."""
    rows, size = [], 0
    for seed in range(1, args.seeds + 1):
        out = f"runs/{net.removesuffix('.yaml')}-{seed}"
        used = run([args.lamina, "train", net, f"--out={out}", f"--seed={seed}", f"--threads={args.threads}"], folder)
        if not used:
            return None, 0
        rows.append((*used, values_of(evaluated(args.lamina, net, f"{out}/weights.safetensors", folder))))
        name = re.search(r"(?m)^name: *(\w+)", (folder / net).read_text()).group(1)
        size = (folder / out / f"{name}.so").stat().st_size
        shutil.rmtree(folder / out)
    return rows, size


def row(label, how, rows, size):
    metrics = rows[0][3]
    chosen = [m for m in metrics if "accuracy" in m] or ["loss"]
    shown = []
    for name in chosen:
        values = [r[3][name] for r in rows]
        spread = statistics.stdev(values) if len(values) > 1 else 0
        shown.append(f"{name} {statistics.mean(values):.4f} ± {spread:.4f}")
    mean = [statistics.mean(r[i] for r in rows) for i in range(3)]
    return (f"| `{label}` | {how} | {', '.join(shown)} | {mean[0]:.1f} | {mean[1]:.1f} | {mean[2]:.0f} | "
            f"{size / 1024:.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lamina", type=lambda p: Path(p).resolve())
    parser.add_argument("--nets", default=",".join(NETS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=argparse.FileType("w"), default=sys.stdout)
    args = parser.parse_args()
    print("| example | learned | on test data | seconds | processor seconds | peak MB | library KB |", file=args.out)
    print("|---|---|---|---|---|---|---|", file=args.out)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "data").symlink_to(EXAMPLES / "data")
        for path in EXAMPLES.glob("*.yaml"):
            shutil.copy(path, folder)
        for net in args.nets.split(","):
            if not (EXAMPLES / f"{net}.yaml").exists():
                print(f"{net}: there is no such example", file=sys.stderr)
                continue
            (folder / f"{net}_whole.yaml").write_text(end_to_end(net, (EXAMPLES / f"{net}.yaml").read_text()))
            for command in FIRST.get(net, []):
                if not (folder / command[2].removeprefix("--out=")).exists():
                    run([args.lamina, *command, f"--threads={args.threads}"], folder)
            for how, file in (("in stages" if net != "distill_cnn_to_mlp" else "with a teacher", f"{net}.yaml"),
                              ("end to end", f"{net}_whole.yaml")):
                rows, size = measure(args, file, folder)
                if rows:
                    print(row(net, how, rows, size), file=args.out, flush=True)


if __name__ == "__main__":
    main()
