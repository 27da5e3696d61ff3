"""Runs the benchmarks and prints tables, or JSON.

  run.py BUILD_FOLDER [--json] [--plot FILE.svg] [NAME...]

NAME is a job (a file in jobs/), memory, native, loop or greenlet; all of them unless some are named.
How a job is measured: measure.lua. The contenders of a case are measured in one process, in turns,
so their ratios are worth more than their figures, and only ratios travel between machines.
"""

import argparse
import json
import pathlib
import platform
import subprocess
import sys

import echo
import targets

HERE = pathlib.Path(__file__).parent
JOBS = ["ring", "generator", "create", "pinned", "failure", "policy"]
RUNTIMES = ["lua5.1", "lua5.2", "lua5.3", "lua5.4", "luajit"]
# What waits, and on which libraries.
MEMORY = {
    "unmounted": ["standard", "coro"],
    "pairs": ["standard", "coro"],
    "pinned": ["coro"],
}


def output_of(*command):
    return subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, text=True).stdout


def figures_of(*command):
    return [json.loads(line) for line in output_of(*command).splitlines()]


def machine():
    with open("/proc/cpuinfo") as info:
        models = [line.split(":")[1].strip() for line in info if line.startswith("model name")]
    return {
        "processor": f"{len(models)} x {models[0] if models else platform.machine()}",
        "system": f"{platform.system()} {platform.release()}",
        "compiler": output_of("c++", "--version").splitlines()[0],
        "runtimes": {name: version_of(name) for name in RUNTIMES},
    }


def version_of(runtime):
    shown = subprocess.run([runtime, "-v"], check=True, capture_output=True, text=True)
    return (shown.stdout + shown.stderr).split(" Copyright")[0].strip(" -")


class Report:
    def __init__(self, as_json):
        self.as_json = as_json
        self.records = []

    def say(self, text=""):
        if not self.as_json:
            print(text, flush=True)

    def add_row(self, figures, reference, unit, **what):
        base = next((f[unit] for f in figures if f["contender"] == reference), None)
        cells = []
        for figure in figures:
            ratio = figure[unit] / base if base else None
            self.records.append({**what, **figure, "ratio": ratio})
            spread = ""
            if "most" in figure:
                spread = f"\u00b1{50 * (figure['most'] - figure['least']) / figure[unit]:.0f}%"
            shown = f"{ratio:.2f}" if ratio else "-"
            cells.append(f"{figure[unit]:11.1f} {spread:>5} {shown:>6}")
        self.say(f"  {what['case']:17}" + "".join(cells))


def run_job(report, build, name):
    job = HERE / "jobs" / f"{name}.lua"
    for runtime in RUNTIMES:
        measure = [runtime, HERE / "measure.lua", build / runtime, job]
        about = figures_of(*measure)[0]
        report.say(f"{about['title']}: ns, spread, ratio to {about['reference']}")
        has_header = False
        for case in about["cases"]:
            figures = figures_of(*measure, case)
            if not has_header:
                has_header = True
                report.say(f"  {runtime:17}" + "".join(f"{f['contender']:>24}" for f in figures))
            report.add_row(figures, about["reference"], "median", job=name, runtime=runtime, case=case)
        report.say()


def run_memory(report, build):
    report.say("memory: resident bytes for each suspended thread (pairs: for two), ratio to standard")
    for runtime in RUNTIMES:
        report.say(f"  {runtime:17}" + "".join(f"{name:>24}" for name in ["standard", "coro"]))
        for kind, libraries in MEMORY.items():
            figures = []
            for library in libraries:
                program = [runtime, HERE / "memory.lua", build / runtime, kind, library]
                figures += figures_of(*program)
            report.add_row(figures, "standard", "bytes", job="memory", runtime=runtime, case=kind)
    report.say()


def run_native(report, build):
    shown = output_of(build / "bench" / "native_bench", "--benchmark_format=json",
                      "--benchmark_repetitions=9", "--benchmark_enable_random_interleaving=true",
                      "--benchmark_report_aggregates_only=true")
    report.say("native: ns, median of 9 repetitions in random order")
    for result in json.loads(shown)["benchmarks"]:
        if result["aggregate_name"] == "median":
            name, time = result["run_name"], result["cpu_time"]
            report.records.append({"job": "native", "case": name, "median": time})
            report.say(f"  {name:40} {time:9.1f}")
    report.say()


def run_greenlet(report):
    # Debian's Python, for which Debian's greenlet is.
    figures = figures_of("/usr/bin/python3", HERE / "greenlet_ring.py")
    report.say("Python's greenlet: ns, spread")
    report.add_row(figures, None, "median", job="greenlet", runtime="python3", case="2")
    report.say()


def say_targets(report):
    report.say("what is to be reached: ratios of this run, the most they may be, ! where they are more")
    report.say(f"  {'':36}" + "".join(f"{runtime:>14}" for runtime in RUNTIMES))
    for name, cells in targets.rows(report.records, RUNTIMES):
        shown = ""
        for cell in cells:
            text = f"{cell[0]:.2f} ({cell[1]:.2f}){'!' if cell[0] > cell[1] else ' '}" if cell else "- "
            shown += f"{text:>14}"
        report.say(f"  {name:36}{shown}")


def plot(records, file):
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(RUNTIMES), figsize=(17, 4), sharey=True)
    lines = [("standard", "", "tab:gray", "standard dispatcher"), ("pure Lua", "", "tab:olive", "pure Lua"),
             ("coro", "", "tab:blue", "coro"), ("coro", " shuffled", "tab:cyan", "coro, shuffled"),
             ("standard", " shuffled", "lightgray", "standard, shuffled")]
    for axis, runtime in zip(axes, RUNTIMES):
        for contender, order, colour, label in lines:
            points = [
                (int(r["case"].split()[0]), r["median"])
                for r in records
                if r["job"] == "ring" and r["runtime"] == runtime and r["contender"] == contender
                and r["case"].endswith(order) and (order or r["case"].isdigit())
            ]
            axis.plot(*zip(*points), color=colour, marker=".", label=label)
        axis.set(title=runtime, xscale="log", yscale="log", xlabel="threads in the ring")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("nanoseconds a hop")
    axes[-1].legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})


def main():
    arguments = argparse.ArgumentParser(usage=__doc__)
    arguments.add_argument("build", type=pathlib.Path)
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--plot", type=pathlib.Path)
    arguments.add_argument("names", nargs="*")
    asked = arguments.parse_intermixed_args()  # names may follow options
    runs = {name: lambda report, build, name=name: run_job(report, build, name) for name in JOBS}
    runs["memory"] = run_memory
    runs["native"] = run_native
    runs["loop"] = lambda report, build: echo.run(report, build, HERE, RUNTIMES)
    runs["greenlet"] = lambda report, build: run_greenlet(report)
    unknown = [name for name in asked.names if name not in runs]
    if unknown:
        sys.exit(f"unknown benchmark: {' '.join(unknown)}; there are {' '.join(runs)}")

    report = Report(asked.json)
    about = machine()
    for key, value in about.items():
        report.say(f"{key}: {value}")
    report.say()
    for name in asked.names or runs:
        runs[name](report, asked.build)
    say_targets(report)
    if asked.plot:
        plot(report.records, asked.plot)
    if asked.json:
        json.dump({"machine": about, "figures": report.records}, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
