#!/usr/bin/env bash
# bentoml 1.4.40: NaN and the infinite numbers of an array are null in the answer, and None in what its own client makes of that.
#
# A service whose API returns numpy.ndarray answers [1.5, nan, inf] with [1.5, null, null], without a warning. bentoml's own client gives
# an array of objects: [1.5, None, None], on which arithmetic fails, and which no longer says which of the two it was. A check that
# expects NaN, as MLflow and AWS's toolkits write it, finds null; one that takes null for "no answer" is wrong the other way.
# Beside it, the way in: a body [1.5, NaN] is read as float64, the answer's own form [1.5, null] as an array of objects.
# Seen: b'[1.5, null, null]', then "object [1.5, None, None]".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'bentoml==1.4.40' 'numpy<2.5'
cd "$folder"
cat > scores.py <<'PYTHON'
import bentoml
import numpy as np


@bentoml.service(workers=1)
class Scores:
    @bentoml.api
    def predict(self, rows: np.ndarray, /) -> np.ndarray:
        return np.array([1.5, np.nan, np.inf])

    @bentoml.api
    def dtype(self, rows: np.ndarray, /) -> str:
        return str(rows.dtype)
PYTHON
BENTOML_DO_NOT_TRACK=True BENTOML_HOME="$folder/home" "$folder/venv/bin/python" - <<'PYTHON'
import socket
import subprocess
import sys
import time
import urllib.request

import bentoml

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
url = f"http://127.0.0.1:{port}"


def ask(path, body=None):
    request = urllib.request.Request(f"{url}/{path}", body, {"Content-Type": "application/json"})
    return urllib.request.urlopen(request, timeout=30).read()


command = [sys.executable, "-m", "bentoml", "serve", "scores:Scores", "--host", "127.0.0.1", "--port", str(port)]
server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    for _ in range(200):
        try:
            ask("readyz")
            break
        except OSError:
            time.sleep(0.3)
    answer = ask("predict", b"[[1.0]]")
    with bentoml.SyncHTTPClient(url) as client:
        array = client.predict([[1.0]])
    print(answer)
    print(array.dtype, array.tolist())
    print("a body [1.5, NaN] is", ask("dtype", b"[1.5, NaN]"), "and [1.5, null] is", ask("dtype", b"[1.5, null]"))
    assert answer == b"[1.5, null, null]", answer
    assert (str(array.dtype), array.tolist()) == ("object", [1.5, None, None]), array
finally:
    server.terminate()
    server.wait()
PYTHON
