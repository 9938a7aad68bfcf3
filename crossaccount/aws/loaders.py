"""botocore's descriptions of the services, read once for a process and in half the time. Not here: sessions (``sessions``)."""

import json
import os
from collections.abc import Callable
from functools import cache
from typing import Any

from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import JSONFileLoader, Loader


class JsonFiles(JSONFileLoader):
    """botocore's reader of its own files; makes plain dicts, which take half the time and memory of its ordered ones."""

    def _load_file(self, full_path: str, open_method: Callable[[str, str], Any]) -> Any:
        if not os.path.isfile(full_path):
            return None
        with open_method(full_path, "rb") as file:
            return json.loads(file.read())


class ServiceLoader(Loader):
    """botocore's loader, which does not open the folders of all four hundred services to make a client of one."""

    def list_available_services(self, type_name: str) -> list[str]:
        """Every service that has a folder, whatever is in it."""
        folders = filter(os.path.isdir, self.search_paths)
        return sorted({name for folder in folders for name in os.listdir(folder) if "." not in name})

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        """As botocore's, which takes a service that has nothing of this type for an unknown one."""
        try:
            self.list_api_versions(service_name, type_name)
        except DataNotFoundError:
            known = ", ".join(super().list_available_services(type_name))
            raise UnknownServiceError(service_name=service_name, known_service_names=known) from None
        return super().load_service_model(service_name, type_name, api_version)


@cache
def shared_loader() -> Loader:
    """One loader for all sessions of the process: each would read SageMaker's megabytes of JSON anew."""
    paths = os.environ.get("AWS_DATA_PATH", "").split(os.pathsep)
    return ServiceLoader(
        [os.path.expanduser(os.path.expandvars(path)) for path in paths if path], JsonFiles()
    )
