"""Fuzzes good answers of any shape, in every decoder.

python fuzz/fuzz_decode.py -max_total_time=60 fuzz/corpus/decode
"""

from harness import fuzz, instrumented

with instrumented():
    from reliability.claims import answers

fuzz("decode", answers)
