"""A stand-in for the Hugging Face Hub on loopback: model repositories.

It answers what huggingface_hub asks to create a repository, to commit to it and to download from
it. Large files are sent in the protocol of Git LFS; HF_HUB_DISABLE_XET=1 is for the client.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

TOKEN, READ_ONLY = "hf_write", "hf_read"  # no secrets: the stand-in alone knows them
OWNER = "jane"  # whose token TOKEN is
LARGE = (".safetensors", ".bin")


@dataclass
class Repository:
    """Commits in their order, each with all files; the last is `main`."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes]) -> str:
        content = {**self.files(), **files}
        seed = json.dumps([len(self.commits), sorted(content)]).encode()
        sha = hashlib.sha1(seed + b"".join(content.values())).hexdigest()
        self.commits[sha] = content
        return sha

    @property
    def head(self) -> str:
        return list(self.commits)[-1]

    def files(self) -> dict[str, bytes]:
        return self.commits[self.head] if self.commits else {}


class HubServer(ThreadingHTTPServer):
    """The repositories, and what was asked.

    Attributes:
        repositories: by OWNER/NAME.
        objects: large files by their SHA-256, as they were sent.
        requests: method and path of each request.
        failures: path's pattern → status of an answer that is given once in place of the usual.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.failures: dict[str, int] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def cdn(self) -> str:
        """Another host for a client, which does not follow a redirect there."""
        return f"http://localhost:{self.server_port}"

    def add(self, name: str, files: dict[str, bytes], **about: bool) -> Repository:
        """Add a repository with `files` in its first commit."""
        repository = self.repositories[name] = Repository(**about)
        repository.commit({".gitattributes": b"", **files})
        return repository


class Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"
    timeout = 20

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self) -> None:
        self.path = unquote(self.path)
        self.server.requests.append(f"{self.command} {self.path}")
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        for pattern, status in list(self.server.failures.items()):
            if re.search(pattern, self.path):
                del self.server.failures[pattern]
                return self.send({"error": "it fails"}, status)
        routes = {
            r"/api/repos/create": self.create,
            r"/api/validate-yaml": self.validate,
            r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?": self.info,
            r"/api/models/([^/]+/[^/]+)/preupload/main": self.preupload,
            r"/api/models/([^/]+/[^/]+)/commit/main": self.commit,
            r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch": self.batch,
            r"/objects/([0-9a-f]{64})": self.receive,
            r"/files/([0-9a-f]{40})/(.+)": self.content,
            r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)": self.resolve,
        }
        for pattern, route in routes.items():
            if found := re.fullmatch(pattern, self.path.partition("?")[0]):
                return route(*found.groups())
        self.send({"error": "no such page"}, 404)

    do_GET = do_POST = do_PUT = do_HEAD = _answer  # noqa: N815 (http.server's names)

    def send(self, content: Any, status: int = 200, **headers: str) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", headers.pop("Content_Length", str(len(data))))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    @property
    def token(self) -> str:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def find(self, name: str, write: bool = False) -> Repository | None:
        """Return the repository, or answer why it cannot be had."""
        repository = self.server.repositories.get(name)
        hidden = repository and repository.private and self.token not in (TOKEN, READ_ONLY)
        if self.token and self.token not in (TOKEN, READ_ONLY):
            self.send({}, 401, X_Error_Message="Invalid credentials in Authorization header")
        elif repository is None or hidden:
            code = {"X_Error_Code": "RepoNotFound", "X_Error_Message": "Repository not found"}
            self.send({"error": "Repository not found"}, 404 if self.token else 401, **code)
        elif repository.gated:
            self.send({}, 403, X_Error_Code="GatedRepo", X_Error_Message="ask for access")
        elif write and (self.token != TOKEN or not name.startswith(f"{OWNER}/")):
            self.send({"error": "no right to write"}, 403)
        else:
            return repository
        return None

    def create(self) -> None:
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        if self.token not in (TOKEN, READ_ONLY):
            return self.send({"error": "Invalid username or password."}, 401)
        if name in self.server.repositories:
            text = "You already created this model repo"
            return self.send({"error": text, "url": f"{self.server.url}/{name}"}, 409)
        if self.token != TOKEN or asked["organization"] != OWNER:
            return self.send({"error": "You don't have the rights to create a model there"}, 403)
        self.server.add(name, {}, private=asked.get("visibility") == "private")
        self.send({"url": f"{self.server.url}/{name}", "name": name})

    def validate(self) -> None:
        errors = []
        text = json.loads(self.body)["content"]
        data = yaml.safe_load(text.split("---")[1]) if text.startswith("---") else {}
        if data.get("license") not in (None, "apache-2.0", "mit", "cc-by-nc-sa-4.0", "other"):
            errors.append({"message": '"license" must be one of [apache-2.0, mit, …]'})
        self.send({"errors": errors, "warnings": []}, 400 if errors else 200)

    def info(self, name: str, revision: str | None) -> None:
        if (repository := self.find(name)) is None:
            return
        card = repository.files().get("README.md", b"").decode()
        data = yaml.safe_load(card.split("---")[1]) if card.startswith("---") else {}
        self.send(
            {
                "id": name,
                "sha": repository.head,
                "private": repository.private,
                "siblings": [{"rfilename": file} for file in repository.files()],
                "library_name": data.get("library_name"),
                "cardData": data,
                "tags": [],
            }
        )

    def preupload(self, name: str) -> None:
        if self.find(name, write=True) is None:
            return
        files = [
            {
                "path": one["path"],
                "uploadMode": "lfs" if one["path"].endswith(LARGE) else "regular",
                "shouldIgnore": False,
            }
            for one in json.loads(self.body)["files"]
        ]
        self.send({"files": files})

    def batch(self, name: str) -> None:
        if self.find(name, write=True) is None:
            return
        objects = [
            {
                "oid": one["oid"],
                "size": one["size"],
                "actions": {"upload": {"href": f"{self.server.url}/objects/{one['oid']}"}},
            }
            if one["oid"] not in self.server.objects
            else {"oid": one["oid"], "size": one["size"]}
            for one in json.loads(self.body)["objects"]
        ]
        self.send({"transfer": "basic", "objects": objects})

    def receive(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            return self.send({"error": "another content"}, 400)
        self.server.objects[oid] = self.body
        self.send({})

    def commit(self, name: str) -> None:
        if (repository := self.find(name, write=True)) is None:
            return
        files = {}
        for line in map(json.loads, self.body.splitlines()):
            value = line["value"]
            parent = value.get("parentCommit") if line["key"] == "header" else None
            if parent and parent != repository.head:
                return self.send({"error": "A commit has happened since"}, 412)
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.objects[value["oid"]]
        sha = repository.commit(files)
        self.send({"commitUrl": f"{self.server.url}/{name}/commit/{sha}", "commitOid": sha})

    def resolve(self, name: str, revision: str, file: str) -> None:
        if (repository := self.find(name)) is None:
            return
        sha = repository.head if revision == "main" else revision
        if sha not in repository.commits:
            return self.send({}, 404, X_Error_Code="RevisionNotFound")
        if file not in repository.commits[sha]:
            return self.send({}, 404, X_Error_Code="EntryNotFound", X_Repo_Commit=sha)
        data = repository.commits[sha][file]
        if file.endswith(LARGE):
            digest = hashlib.sha256(data).hexdigest()
            about = {"X_Linked_Etag": f'"{digest}"', "X_Linked_Size": str(len(data))}
            about["Location"] = f"{self.server.cdn}/files/{sha}/{name}/{file}"
            return self.send({}, 302, X_Repo_Commit=sha, ETag='"of the pointer"', **about)
        self.send(data, X_Repo_Commit=sha, ETag=f'"{hashlib.sha1(data).hexdigest()}"')

    def content(self, sha: str, file: str) -> None:
        owner, name, path = file.split("/", 2)
        self.send(self.server.repositories[f"{owner}/{name}"].commits[sha][path])


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """Yield a hub that listens, without repositories."""
    with HubServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def environment(endpoint: str, cache: Path, token: str = TOKEN) -> dict[str, str]:
    """Return what lets a client in a process of its own ask the stand-in."""
    names = {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_TOKEN": token}
    return names | {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


def use(endpoint: str, cache: Path, monkeypatch: pytest.MonkeyPatch, token: str = TOKEN) -> None:
    """Let the client of this process, which has read its environment, ask `endpoint`."""
    from huggingface_hub import constants

    page = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", page)
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache / "token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", token)
