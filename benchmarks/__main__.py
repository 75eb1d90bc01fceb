"""``python -m benchmarks [NAME...]``: run benchmarks, each of which prints one JSON document."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence

from benchmarks.machine import describe, measure_limits
from benchmarks.measure import rounded
from chemtomo.errors import ChemTomoError
from chemtomo.opencl import choose_device

NAMES = {
    "projector": "projection and back-projection, against ASTRA on all cores",
    "iteration": "a TGV iteration, against a copy of what it must read and write",
    "convergence": "time and iterations to the answer, fast against published steps",
    "variants": "the fast steps, untouched, on other problems, against converged runs",
    "scaling": "time and memory of 8 to 512 slices, slabs included",
    "table2": "the case of table 2 in Huber et al. 2019 (all 2000 iterations on a GPU only)",
    "alignment": "accuracy and time of alignment, on simulated samples whose truth is known",
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure speed. Every benchmark prints one JSON document.",
        epilog="\n".join(f"{name:12s} {text}" for name, text in NAMES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which to run; all by default")
    parser.add_argument("--quick", action="store_true", help="smaller cases and fewer repetitions")
    parser.add_argument("--device", default="auto", help="auto, gpu, cpu, or number or part of a name")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.names) - set(NAMES):
        parser.error(f"found {', '.join(sorted(unknown))}; expected {', '.join(NAMES)}")
    try:
        device = choose_device(chosen.device)
        if device is None:
            parser.error("found the device numpy; expected one with OpenCL")
        limits = measure_limits(device)
        where = describe(device, limits)
        for name in chosen.names or NAMES:
            module = importlib.import_module(f"benchmarks.{name}")
            document = {"benchmark": name, "machine": where, "quick": chosen.quick}
            document |= module.run(device, limits, chosen.quick)
            print(json.dumps(rounded(document), indent=1), flush=True)
    except ChemTomoError as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
