"""An inspection in a process that may not reach the network."""

import json
import os
import subprocess
import sys
from pathlib import Path

CODE = """
import json, socket, sys

attempts = []

def refusing(original):
    def guarded(*arguments, **options):
        target = next((a for a in arguments if isinstance(a, (str, bytes, tuple))), None)
        attempts.append(repr(target))
        raise OSError("the network is off")
    return guarded

for holder, name in (
    (socket.socket, "connect"), (socket.socket, "connect_ex"), (socket.socket, "sendto"),
    (socket, "getaddrinfo"), (socket, "gethostbyname"), (socket, "create_connection"),
):
    setattr(holder, name, refusing(getattr(holder, name)))

from ltad import Predictor

predictor = Predictor.from_checkpoint(sys.argv[1])
report = predictor.predict(sys.argv[2]).report()
words = predictor.match_classes(sys.argv[2])[0]["nearest_words"]  # needs the text tower
print(json.dumps({"attempts": attempts, "report": report, "words": words, "gradio": "gradio" in sys.modules}))
"""


def test_a_checkpoint_is_loaded_and_used_without_trying_the_network(toy_checkpoint: Path, toy_folder: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_OFFLINE")}
    image = toy_folder / "dots" / "test" / "good" / "000.png"
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(toy_checkpoint), str(image)],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["attempts"] == []
    assert told["report"]["class"]["name"] == "dots"
    assert len(told["words"]) == 5
    assert not told["gradio"]
