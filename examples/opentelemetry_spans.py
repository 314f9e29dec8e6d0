"""Each call as an OpenTelemetry span, its attempts as spans below it. pip install opentelemetry-sdk"""

from contextlib import suppress

from _router import connect
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from indoxrouter import CallEvent, IndoxRouterError

spans = InMemorySpanExporter()  # in a service of yours: an OTLPSpanExporter
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
tracer = provider.get_tracer("indoxrouter")


def nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


def record(event: CallEvent) -> None:
    name = f"{event.operation} {event.model or ''}".strip()
    attributes = event.attributes()
    call = tracer.start_span(name, attributes=attributes, start_time=nanoseconds(event.started))
    if event.error_type:
        call.set_status(trace.StatusCode.ERROR, event.error_type)
    moment = event.started  # a login may have come first: it is no attempt
    for attempt in event.attempts:
        below = tracer.start_span(
            f"attempt {attempt.model or ''}".strip(),
            context=trace.set_span_in_context(call),
            attributes={"indoxrouter.outcome": attempt.outcome, "http.response.status_code": attempt.status or 0},
            start_time=nanoseconds(moment),
        )
        below.end(nanoseconds(moment + attempt.seconds))
        moment += attempt.seconds + (attempt.wait or 0)
    call.end(nanoseconds(event.started + event.seconds))


with connect(on_event=record) as client:
    client.chat([{"role": "user", "content": "Hello"}], model="openai/gpt-0", fallback_models=["openai/gpt-4o-mini"])
    with client.chat([{"role": "user", "content": "Count to five."}], stream=True) as stream:
        next(stream)  # and leave
    with suppress(IndoxRouterError):
        client.image("A lighthouse", model="openai/no-such-model")

for span in spans.get_finished_spans():
    took = ((span.end_time or 0) - (span.start_time or 0)) / 1e6
    print(f"\n{'  ' if span.parent else ''}{span.name}: {took:.1f} ms, {span.status.status_code.name}")
    for key, value in (span.attributes or {}).items():
        print(f"{'  ' if span.parent else ''}  {key} = {value!r}")
