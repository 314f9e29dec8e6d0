"""Streams: print as it comes, read what it came to, leave early, keep what a broken one brought."""

from _router import connect

from indoxrouter import StreamError

STORY = [{"role": "user", "content": "Tell me a story about a lighthouse."}]

with connect() as client:
    print("\n1. To the end:")
    stream = client.chat(STORY, stream=True)
    for chunk in stream:
        print(chunk.data, end="", flush=True)
    used = stream.usage  # None where the router sent none, and so is each number in it
    print(f"\n   {stream.state}: {len(stream.text)} characters, finished by {stream.finish_reason!r},")
    print(f"   {used.tokens_total} tokens, {used.cost} US dollars" if used else "   usage unknown")

    print("\n2. Without a loop: data reads the stream to its end.")
    print("  ", client.chat(STORY, stream=True).data)

    print("\n3. Leaving early; the with-block drops the connection, so nobody waits for the rest:")
    with client.chat(STORY, stream=True) as stream:
        for _ in stream:
            if len(stream.text) > 40:
                break
    print(f"   {stream.state}: {stream.text!r}")

    print("\n4. A connection that breaks raises; the text so far is in the error:")
    # The header tells a sandbox to cut the answer after so many bytes; a real router ignores it.
    broken = client.chat(STORY, stream=True, extra_headers={"X-Sandbox-Fault": '{"cut": 3000}'})
    try:
        print("   This one came to its end:", broken.data)
    except StreamError as error:
        print(f"   {type(error).__name__}: {error}")
        print(f"   {broken.state}: {error.partial!r}")
