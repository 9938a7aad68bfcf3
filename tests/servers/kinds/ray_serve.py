"""Ray Serve, with the model behind ``/invocations``."""

import os

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import irises
import ray
from ray import serve


@serve.deployment
class Irises:
    """The model as Ray Serve has it."""

    async def __call__(self, request):
        if request.method == "GET":
            return ""
        answer = irises.predict(irises.rows_of(await request.json()))
        return answer if isinstance(answer, dict) else answer.tolist()


if __name__ == "__main__":
    port = int(os.environ["PORT"])
    ray.init(num_cpus=1, include_dashboard=False, _temp_dir=os.getcwd(), configure_logging=False)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(Irises.bind(), route_prefix="/", blocking=True)
