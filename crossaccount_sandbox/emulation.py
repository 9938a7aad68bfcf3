"""Moto as one WSGI application, which serves a request by the service that the guard judged.

Moto by itself goes by the path, too, and has paths of its own: what it holds of every account, its settings, an instance's
metadata. To S3 these are the names of buckets and objects, and nothing else.

Not here: which requests reach it (``guard``).
"""

from functools import lru_cache
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

SERVICE = "crossaccount_sandbox.service"  # the key of the service in a request's environ


class Emulation(DomainDispatcherApplication):  # type: ignore[misc]  # moto is untyped here
    """Moto's dispatcher, by the service that is named under ``SERVICE``."""

    def __init__(self) -> None:
        super().__init__(create_backend_app)
        # Which service a host is of never changes; moto would list its own folder for it at each request.
        self.get_backend_for_host = lru_cache(1024)(super().get_backend_for_host)

    def get_application(self, environ: dict[str, Any]) -> Any:
        """The application of one service of moto's."""
        on_s3 = environ[SERVICE] == "s3"
        host = "s3.amazonaws.com" if on_s3 else self.infer_service_region_host(environ, environ["PATH_INFO"])
        backend = self.get_backend_for_host(host)
        with self.lock:
            if backend not in self.app_instances:
                self.app_instances[backend] = self.create_app(backend)
            return self.app_instances[backend]
