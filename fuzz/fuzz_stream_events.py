"""Fuzzes the events of a stream, from bytes to the answer that they make.

python fuzz/fuzz_stream_events.py -max_total_time=60 fuzz/corpus/stream_events
"""

from harness import fuzz, instrumented

with instrumented():
    from reliability.claims import stream_events

fuzz("stream_events", stream_events)
