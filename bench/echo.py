"""The job `loop`: echo servers on event loops, loop/echo_server.lua, with clients of loop/load.cpp.

Server and clients run on processors of their own. The contenders of a runtime take turns, round by
round. Each has two servers, one of which holds idle connections, so that a row with them can be set
beside one without. Instructions are those in user mode, counted by callgrind: the difference of two
counts of lines, so that start-up and opening connections cancel out.
"""

import atexit
import os
import re
import resource
import statistics
import subprocess
import sys

CONTENDERS = ["coro", "cqueues", "luv", "luv chunks", "copas"]  # those last that lack figures
USES_SELECT = ["copas"]  # not more than 1,024 descriptors
ROUNDS = 7
CONNECTIONS, LINES, CONNECTS = 100, 200, 1000  # of one round
IDLE = 10_000
COUNTED_LINES = (20, 220)
MOST_DESCRIPTORS = IDLE + 500


class Server:
    """A server and its clients."""

    def __init__(self, here, build, runtime, contender, *launcher):
        self.process = subprocess.Popen(
            ["taskset", "-c", "0", *launcher, runtime, here / "loop" / "echo_server.lua",
             build / runtime, contender],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE if launcher else None, text=True)
        atexit.register(self.process.kill)  # if the run is broken off
        port = self.process.stdout.readline()
        if not port:
            sys.exit(f"the server of {contender} does not start on {runtime}")
        self.clients = subprocess.Popen(
            ["taskset", "-c", "1", build / "bench" / "echo_load", port.strip()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, command):
        """Seconds that the clients took."""
        self.clients.stdin.write(command + "\n")
        self.clients.stdin.flush()
        answer = self.clients.stdout.readline()
        if not answer:
            sys.exit(f"'{command}' failed")
        return float(answer)

    def processor_time(self):
        with open(f"/proc/{self.process.pid}/schedstat") as stat:
            return int(stat.read().split()[0]) / 1e9

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/statm") as stat:
            return int(stat.read().split()[1]) * resource.getpagesize()

    def measure(self, command, count):
        """Nanoseconds of the clients' and of the server's processor's for each."""
        before = self.processor_time()
        taken = self.ask(command)
        return taken / count * 1e9, (self.processor_time() - before) / count * 1e9

    def echo(self):
        self.ask(f"open {CONNECTIONS}")
        figures = self.measure(f"echo {LINES}", CONNECTIONS * LINES)
        self.ask("close")
        return figures

    def end(self):
        """What the launcher says of it."""
        self.process.terminate()
        said = self.process.communicate()[1]
        self.clients.communicate()
        return said


def permit_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= MOST_DESCRIPTORS:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (MOST_DESCRIPTORS, max(hard, MOST_DESCRIPTORS)))
    except (ValueError, PermissionError):
        sys.exit(f"{IDLE} idle connections take {MOST_DESCRIPTORS} file descriptors; "
                 f"the limit is {hard} (ulimit -Hn)")


def contenders_of(runtime):
    """Those that there are, and those that are not."""
    def is_there(contender):
        library = contender.split()[0]
        return library == "coro" or subprocess.run(
            [runtime, "-e", f"require '{library}'"], capture_output=True).returncode == 0

    present = [c for c in CONTENDERS if is_there(c)]
    return present, [c for c in CONTENDERS if c not in present]


def summary(contender, samples):
    return {"contender": contender, "median": statistics.median(samples), "least": min(samples),
            "most": max(samples)}


def instructions_of(start, contender, idle):
    counted = []
    for lines in COUNTED_LINES:
        server = start(contender, "valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}")
        if idle:
            server.ask(f"open {idle}")
        server.ask(f"open {CONNECTIONS}")
        server.ask(f"echo {lines}")
        counted.append(int(re.search(r"Collected : (\d+)", server.end())[1]))
    return (counted[1] - counted[0]) / ((COUNTED_LINES[1] - COUNTED_LINES[0]) * CONNECTIONS)


def make_crowded(server):
    """Opens the idle connections; the bytes that each of them takes."""
    server.ask("open 10")
    before = server.resident_bytes()
    server.ask(f"open {IDLE}")
    return (server.resident_bytes() - before) / IDLE


def measure_rounds(servers, crowded):
    """Samples by case and contender."""
    samples = {}
    for _ in range(ROUNDS):
        for contender, server in servers.items():
            measured = {"echo": server.echo(),
                        "connect": server.measure(f"connect {CONNECTS}", CONNECTS)}
            if contender in crowded:
                measured["echo beside idle"] = crowded[contender].echo()
            for case, (taken, processor_time) in measured.items():
                samples.setdefault(case, {}).setdefault(contender, []).append(taken)
                samples.setdefault(case + ", cpu", {}).setdefault(contender, []).append(processor_time)
    return samples


def run(report, build, here, runtimes):
    permit_descriptors()
    build = build.resolve()
    for runtime in runtimes:
        def start(contender, *launcher):
            return Server(here, build, runtime, contender, *launcher)

        def add(case, figures, unit="median"):
            report.add_row(figures, "luv", unit, job="loop", runtime=runtime, case=case)

        present, missing = contenders_of(runtime)
        report.say(f"echo servers: ns for a line ({CONNECTIONS} connections) or a new connection, and of it the")
        report.say(f"server's processor time; instructions for a line; bytes for each of {IDLE} idle connections,")
        report.say("and with LuaSocket alone; spread, ratio to luv")
        report.say(f"  {runtime:17}" + "".join(f"{c:>24}" for c in present))
        servers = {c: start(c) for c in present}
        crowded = {c: start(c) for c in present if c not in USES_SELECT}
        bare = start("luasocket")
        memory = [{"contender": c, "bytes": make_crowded(server)} for c, server in crowded.items()]
        bare_memory = [{"contender": "luasocket", "bytes": make_crowded(bare)}]
        for case, by_contender in measure_rounds(servers, crowded).items():
            add(case, [summary(c, s) for c, s in by_contender.items()])
        for server in [*servers.values(), *crowded.values(), bare]:
            server.end()
        add("instructions", [{"contender": c, "median": instructions_of(start, c, 0)} for c in present])
        add("instructions beside idle",
            [{"contender": "coro", "median": instructions_of(start, "coro", IDLE)}])
        add("idle", memory, "bytes")
        add("idle, LuaSocket", bare_memory, "bytes")
        if missing:
            report.say(f"  not on {runtime}: {', '.join(missing)}")
        report.say()
