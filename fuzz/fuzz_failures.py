"""Fuzzes error answers of any shape.

python fuzz/fuzz_failures.py -max_total_time=60 fuzz/corpus/failures
"""

from harness import fuzz, instrumented

with instrumented():
    from reliability.claims import failures

fuzz("failures", failures)
