"""The main job in one go: chat, stream, complete, embed, draw, compare prices, read the bill."""

import base64
from pathlib import Path

from _router import connect

SENTENCES = ["The cat sleeps on the sofa.", "Invoices are due in 30 days.", "Rain is coming tonight."]
QUESTION = "When is my invoice due?"


def dollars(amount: float | None) -> str:
    return f"{'unknown':>13}" if amount is None else f"{amount:13.8f}"


with connect() as client:  # with a key of your own: with Client(api_key="...") as client:
    print("\nChat:", client.chat([{"role": "user", "content": "What does an LLM router do?"}]).data)
    print("\nStream: ", end="")
    for chunk in client.chat([{"role": "user", "content": "Count to five."}], stream=True):
        print(chunk.data, end="", flush=True)
    print("\n\nCompletion:", client.completion("Once upon a time", max_tokens=40).data)

    *vectors, asked = client.embeddings([*SENTENCES, QUESTION]).data
    nearness = [sum(a * b for a, b in zip(vector, asked, strict=True)) for vector in vectors]
    print(f"\nNearest to {QUESTION!r}: {SENTENCES[nearness.index(max(nearness))]}")

    image = client.image("A lighthouse at dusk", response_format="b64_json").data[0]
    path = Path("demo-output/lighthouse.png")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(base64.b64decode(str(image), validate=True))
    print(f"\nImage: {path.absolute()}\n\nModels, with US dollars for 1,000 tokens in and out:")
    for model in client.models("openai")["openai"][:4]:
        prices = dollars(model.inputPricePer1KTokens) + dollars(model.outputPricePer1KTokens)
        print(f"  {model.modelName!s:26}{prices}")
    usage = client.get_usage()
    print("\nUsage of this account: model, requests, US dollars")
    for name, used in (usage.models or {}).items():
        print(f"  {name:32}{used.get('requests')!s:>7}{dollars(used.get('cost'))}")
    print(f"  {'total':32}{usage.total_requests!s:>7}{dollars(usage.total_cost)}")
