# The same as jobs/ring.lua with Python's greenlet: two greenlets switch to each other.
# Prints a line of JSON: nanoseconds for one hop, median of the rounds.
import time

import greenlet

HOPS, ROUNDS = 400_000, 9


def hop_time():
    left = HOPS // 2

    def first_body():
        nonlocal left
        while left > 0:
            left -= 1
            second.switch()

    def second_body():
        while True:
            first.switch()

    first = greenlet.greenlet(first_body)
    second = greenlet.greenlet(second_body)
    start = time.process_time_ns()
    first.switch()
    return (time.process_time_ns() - start) / HOPS


samples = sorted(hop_time() for _ in range(ROUNDS))
print(
    '{"contender": "greenlet", "median": %.2f, "least": %.2f, "most": %.2f}'
    % (samples[ROUNDS // 2], samples[0], samples[-1])
)
