"""Speak a sentence, save it, and have the file written down again: its words, subtitles, and the bill."""

from pathlib import Path

from _router import connect

from indoxrouter import Usage

SENTENCE = "The ferry to the island leaves at nine, and the last one back is at half past six in the evening."
FOLDER = Path("demo-output")
WORDS = 8  # of a subtitle


def clock(seconds: float) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02},{thousandths:03}"


def dollars(used: Usage | None) -> str:
    """What the router did not say is unknown, not 0."""
    return "unknown" if used is None or used.cost is None else f"{used.cost:.8f} US dollars"


with connect() as client:
    speech = client.speech(SENTENCE)
    FOLDER.mkdir(exist_ok=True)
    path = speech.save(FOLDER, overwrite=True)  # speech-1, with the extension of what the router sent
    print(f"\nSpeech: {path.absolute()}, {path.stat().st_size:,} bytes")

    heard = client.transcribe(path, response_format="verbose_json", timestamp_granularities=["word"])
    print(f"\nSaid:  {SENTENCE}\nHeard: {heard.text}")
    print(f"Language: {heard.language or 'unknown'}; seconds: {heard.duration or 'unknown'}")

    words = heard.words or []  # None where the router sent no times
    print("\nWords:")
    for word in words:
        print(f"{word['start']:8.3f} to {word['end']:7.3f}  {word['word']}")

    # response_format="srt" brings subtitles too, but that is to listen, and to pay, once more.
    print("\nSubtitles:")
    for number, first in enumerate(range(0, len(words), WORDS), 1):
        line = words[first : first + WORDS]
        print(f"{number}\n{clock(line[0]['start'])} --> {clock(line[-1]['end'])}")
        print(" ".join(word["word"] for word in line), end="\n\n")

    print("Cost of speaking: ", dollars(speech.usage))
    print("Cost of listening:", dollars(heard.usage))
