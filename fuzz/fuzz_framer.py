"""Fuzzes the framing of event streams, against the specification's reading.

python fuzz/fuzz_framer.py -max_total_time=60 fuzz/corpus/framer
"""

from harness import fuzz, instrumented

with instrumented():
    from reliability.claims import framer

fuzz("framer", framer)
