"""A server written by hand with FastAPI: bare lists; JSON as a text inside of JSON, and as plain text, where the output is a text."""

import json
import os

import fastapi
import irises
import uvicorn

app = fastapi.FastAPI()


@app.get("/ping")
def ping():
    return {}


@app.post("/invocations")
async def invocations(request: fastapi.Request):
    answer = irises.plain(irises.predict(irises.rows_of(await request.json())))
    accept = request.headers.get("accept", "")
    if accept == "text/plain":
        return fastapi.responses.PlainTextResponse(json.dumps(answer))
    if accept == "application/jsonlines" and isinstance(answer, list):
        lines = "".join(f"{json.dumps(row)}\n" for row in answer)
        return fastapi.Response(lines, media_type="application/jsonlines")
    # A text that is JSON already: a common slip, which clients have learnt to read.
    return json.dumps(answer) if accept == "application/vnd.irises+json" else answer


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]))
