"""A small Hugging Face Hub on the loopback, in memory: what huggingface_hub asks of the real one for our commands.

It speaks the interface that huggingface_hub 2.4 calls: accounts, repositories, the check of a README, uploads of large
files (in one part and in several, each verified), commits, and downloads by redirect. Like the real one it takes no
binary file outside its large-file storage, no write without the right to it, and no commit upon a state that is past.
"""

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

LARGE = (".safetensors", ".jpg", ".png")  # what .gitattributes of the Hub names, as far as we send it
PART = 100_000  # bytes: larger files go up in parts of so many
LICENCES = {"apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "other"}
ALICE, BOB, READER = "hf_alice", "hf_bob", "hf_reader"  # tokens; the last is alice's, and may not write
ACCOUNTS = {
    ALICE: {"name": "alice", "orgs": [{"name": "works"}]},
    BOB: {"name": "bob", "orgs": []},
    READER: {"name": "alice", "orgs": []},
}


@dataclass
class Commit:
    """One state of a repository; large: which of the files are kept as such."""

    sha: str
    message: str
    files: dict[str, bytes]
    large: set[str]

    def hash(self, path: str) -> str:
        """By which a file is known: a large one's sha256, git's own of the others."""
        content = self.files[path]
        return hashlib.sha256(content).hexdigest() if path in self.large else _git_hash(content)


@dataclass
class Repository:
    """A repository with all its commits; tags name some of them."""

    kind: str
    private: bool
    made_with: dict[str, Any]
    commits: list[Commit] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def files(self) -> dict[str, bytes]:
        """What it holds now."""
        return self.commits[-1].files

    def commit(self, message: str, files: dict[str, bytes], large: set[str]) -> Commit:
        """Add a state."""
        sha = hashlib.sha1(f"{len(self.commits)}{message}{time.time_ns()}".encode()).hexdigest()
        self.commits.append(Commit(sha, message, files, large & files.keys()))
        return self.commits[-1]

    def at(self, revision: str) -> Commit | None:
        """The state that a branch, a tag or a hash names."""
        if revision == "main":
            return self.commits[-1]
        return next((c for c in self.commits if c.sha == self.tags.get(revision, revision)), None)


class Refused(Exception):
    """An answer other than 200: its status, what it says, and the code by which the client knows it."""

    def __init__(self, status: int, said: str, code: str = "") -> None:
        super().__init__(said)
        self.response = JSONResponse(
            {"error": said}, status, {"X-Error-Message": said} | ({"X-Error-Code": code} if code else {})
        )


class Hub:
    """The state of the stand-in, and what it answers."""

    def __init__(self) -> None:
        self.address = ""
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.storage: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.asked: list[str] = []  # “METHOD /path” of every request
        self.faults: dict[str, tuple[int, str]] = {}  # a pattern of such a line: status and message of its refusal

    def make(self, kind: str, name: str, files: dict[str, bytes] | None = None, *, private: bool = False) -> Repository:
        """Make a repository as the Hub does, with files of somebody."""
        repository = self.repositories[kind, name] = Repository(kind, private, {})
        begin = {".gitattributes": b"*.safetensors filter=lfs\n"} | (files or {})
        repository.commit("initial commit", begin, {path for path in begin if path.endswith(LARGE)})
        return repository

    def space(self, name: str) -> Repository:
        """A Space that must be there."""
        return self.repositories["space", name]

    def model(self, name: str) -> Repository:
        """A model repository that must be there."""
        return self.repositories["model", name]

    @contextmanager
    def open(self) -> Iterator["Hub"]:
        """Serve on a free port of the loopback."""
        config = uvicorn.Config(self._application(), port=0, log_level="error", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        self.address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.should_exit = True
            thread.join()

    def _application(self) -> Starlette:
        kind, repository = "{kind:str}", "{owner:str}/{name:str}"
        table = [
            ("GET", "/api/whoami-v2", self._who),
            ("POST", "/api/validate-yaml", self._check_readme),
            ("POST", "/api/repos/create", self._create),
            ("DELETE", "/api/repos/delete", self._delete),
            ("POST", f"/api/spaces/{repository}/hardware", self._hardware),
            ("POST", f"/api/{kind}/{repository}/preupload/{{revision:str}}", self._preupload),
            ("POST", f"/api/{kind}/{repository}/commit/{{revision:str}}", self._commit),
            ("POST", f"/api/{kind}/{repository}/paths-info/{{revision:str}}", self._sizes),
            ("GET", f"/api/{kind}/{repository}/revision/{{revision:str}}", self._info),
            ("GET", f"/api/{kind}/{repository}", self._info),
            ("POST", "/{owner:str}/{name:str}.git/info/lfs/objects/batch", self._batch),
            ("POST", "/{kind:str}/{owner:str}/{name:str}.git/info/lfs/objects/batch", self._batch),
            ("PUT", "/storage/{oid:str}", self._store),
            ("PUT", "/storage/{oid:str}/{part:int}", self._store_part),
            ("POST", "/storage/{oid:str}/complete", self._complete),
            ("POST", "/storage/{oid:str}/verify", self._verify),
            ("GET", "/storage/{oid:str}", self._stored),
            ("GET", f"/{repository}/resolve/{{revision:str}}/{{path:path}}", self._resolve),
        ]
        routes = [Route(path, self._answering(method), methods=[verb]) for verb, path, method in table]
        return Starlette(routes=routes)

    def _answering(self, method: Any) -> Any:
        """What answers a request with a method of ours, unless a fault is laid for it."""

        async def answer(request: Request) -> Response:
            line = f"{request.method} {request.url.path}"
            self.asked.append(line)
            try:
                for pattern, (status, said) in self.faults.items():
                    if re.search(pattern, line):
                        raise Refused(status, said)
                given = method(request, await request.body())
                return given if isinstance(given, Response) else JSONResponse(given)
            except Refused as refusal:
                return refusal.response

        return answer

    # who may do what

    def _account(self, request: Request) -> dict[str, Any] | None:
        given = request.headers.get("authorization")
        if given is None:
            return None
        if (token := given.removeprefix("Bearer ")) not in ACCOUNTS:
            raise Refused(401, "Invalid credentials in Authorization header")
        return ACCOUNTS[token]

    def _owns(self, request: Request, owner: str) -> bool:
        account = self._account(request)
        return account is not None and owner in (account["name"], *(each["name"] for each in account["orgs"]))

    def _may_write(self, request: Request, owner: str) -> None:
        if self._account(request) is None:
            raise Refused(401, "Invalid username or password.")
        if not self._owns(request, owner) or request.headers["authorization"].endswith(READER):
            raise Refused(403, f'You don\'t have the rights to write under the namespace "{owner}"')

    def _repository(self, request: Request) -> Repository:
        """The repository that is asked about, as far as the asking one may know of it."""
        owner, name = request.path_params["owner"], request.path_params["name"]
        kind = request.path_params.get("kind", "space" if "/api/spaces/" in request.url.path else "models")
        found = self.repositories.get((kind.removesuffix("s"), f"{owner}/{name}"))
        if found is None or (found.private and not self._owns(request, owner)):
            raise Refused(404 if self._account(request) else 401, "Repository not found", "RepoNotFound")
        return found

    def _state(self, request: Request) -> Commit:
        state = self._repository(request).at(request.path_params.get("revision", "main"))
        if state is None:
            raise Refused(404, "Invalid rev id", "RevisionNotFound")
        return state

    def _who(self, request: Request, _: bytes) -> Any:
        account = self._account(request)
        if account is None:
            raise Refused(401, "Invalid username or password.")
        return account

    # repositories

    def _create(self, request: Request, body: bytes) -> Any:
        asked = json.loads(body)
        account = self._who(request, b"")
        owner, kind = asked.get("organization") or account["name"], asked.get("type", "model")
        self._may_write(request, owner)
        name = f"{owner}/{asked['name']}"
        if (kind, name) in self.repositories:
            raise Refused(409, "You already created this repo")
        begin = {"README.md": f"---\nsdk: {asked['sdk']}\n---\n".encode()} if kind == "space" else {}
        made = self.make(kind, name, begin, private=asked.get("visibility") == "private")
        made.made_with = asked
        where = "spaces/" if kind == "space" else ""
        return {"url": f"{self.address}/{where}{name}"}

    def _delete(self, request: Request, body: bytes) -> Any:
        asked = json.loads(body)
        self._may_write(request, asked["organization"])
        del self.repositories[asked.get("type", "model"), f"{asked['organization']}/{asked['name']}"]
        return {}

    def _hardware(self, request: Request, body: bytes) -> Any:
        self._may_write(request, request.path_params["owner"])
        self._repository(request).made_with["hardware"] = json.loads(body)["flavor"]
        return {"stage": "BUILDING", "hardware": {"current": None, "requested": json.loads(body)["flavor"]}}

    def _info(self, request: Request, _: bytes) -> Any:
        repository, state = self._repository(request), self._state(request)
        owner, name = request.path_params["owner"], request.path_params["name"]
        front = _front_matter(state.files.get("README.md", b"").decode())
        told = {"id": f"{owner}/{name}", "sha": state.sha, "private": repository.private, "cardData": front}
        told |= {"siblings": [{"rfilename": path} for path in sorted(state.files)], "tags": front.get("tags", [])}
        return told | ({"library_name": front["library_name"]} if "library_name" in front else {})

    def _sizes(self, request: Request, body: bytes) -> Any:
        asked = re.findall(r"paths=([^&]+)", body.decode())
        state = self._state(request)
        return [
            {"type": "file", "path": path, "size": len(state.files[path]), "oid": _git_hash(state.files[path])}
            for path in asked
            if path in state.files
        ]

    def _check_readme(self, request: Request, body: bytes) -> Any:
        """As strict as the Hub where we know it to be."""
        asked = json.loads(body)
        wrong = []
        try:
            front = _front_matter(asked["content"])
        except yaml.YAMLError:
            front, wrong = {}, ["The front matter is no YAML"]
        if not wrong and not front:
            wrong.append("empty or missing yaml metadata in repo card")
        if front.get("license", "other") not in LICENCES:
            wrong.append(f'"license" must be one of {", ".join(sorted(LICENCES))}')
        if asked["repoType"] == "space":
            wrong += [f'"{key}" is required' for key in ("sdk", "app_file", "title") if key not in front]
            wrong += ['"short_description" is too long'] * (len(front.get("short_description", "")) > 60)
        for model in front.get("model-index", ()):
            for result in model["results"]:
                complete = result["task"]["type"] and result["dataset"]["type"] and result["dataset"]["name"]
                if not complete or not all("type" in m and "value" in m for m in result["metrics"]):
                    wrong.append('"model-index" is incomplete')
        if wrong:
            return JSONResponse({"errors": [{"message": each} for each in wrong], "warnings": []}, 400)
        return {"errors": [], "warnings": []}

    # what is sent

    def _preupload(self, request: Request, body: bytes) -> Any:
        self._may_write(request, request.path_params["owner"])
        there = self._state(request)
        told = []
        for file in json.loads(body)["files"]:
            path = file["path"]
            large = path.endswith(LARGE) or _is_binary(base64.b64decode(file["sample"]))
            known = {"oid": there.hash(path)} if path in there.files else {}
            told.append({"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False} | known)
        return {"files": told}

    def _batch(self, request: Request, body: bytes) -> Any:
        self._may_write(request, request.path_params["owner"])
        return {"objects": [self._place(each) for each in json.loads(body)["objects"]], "transfer": "basic"}

    def _place(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Where a large file goes; nothing to do for one that is stored already."""
        oid, size = asked["oid"], asked["size"]
        if oid in self.storage:
            return {"oid": oid, "size": size}
        upload: dict[str, Any] = {"href": f"{self.address}/storage/{oid}", "header": {}}
        if size > PART:
            parts = {str(part): f"{self.address}/storage/{oid}/{part}" for part in range(1, -(-size // PART) + 1)}
            upload = {"href": f"{self.address}/storage/{oid}/complete", "header": {"chunk_size": str(PART), **parts}}
        return {
            "oid": oid,
            "size": size,
            "actions": {"upload": upload, "verify": {"href": f"{self.address}/storage/{oid}/verify"}},
        }

    def _store(self, request: Request, body: bytes) -> Any:
        self.storage[request.path_params["oid"]] = body
        return {}

    def _store_part(self, request: Request, body: bytes) -> Any:
        oid, part = request.path_params["oid"], request.path_params["part"]
        self.parts.setdefault(oid, {})[part] = body
        return Response(headers={"ETag": hashlib.md5(body).hexdigest()})

    def _complete(self, request: Request, body: bytes) -> Any:
        oid = request.path_params["oid"]
        parts = self.parts.pop(oid)
        told = {each["partNumber"]: each["etag"] for each in json.loads(body)["parts"]}
        if told != {number: hashlib.md5(part).hexdigest() for number, part in parts.items()}:
            raise Refused(400, "A part is missing or damaged")
        self.storage[oid] = b"".join(parts[number] for number in sorted(parts))
        return {}

    def _verify(self, request: Request, body: bytes) -> Any:
        asked = json.loads(body)
        content = self.storage.get(asked["oid"], b"")
        if len(content) != asked["size"] or hashlib.sha256(content).hexdigest() != asked["oid"]:
            raise Refused(400, "The large file is not what it was said to be")
        return {}

    def _commit(self, request: Request, body: bytes) -> Any:
        self._may_write(request, request.path_params["owner"])
        repository = self._repository(request)
        header, *operations = [json.loads(line) for line in body.splitlines()]
        if header["value"].get("parentCommit", repository.commits[-1].sha) != repository.commits[-1].sha:
            raise Refused(412, "A commit has happened since")
        files, large = dict(repository.files), set(repository.commits[-1].large)
        for operation in operations:
            value = operation["value"]
            path = value["path"]
            if operation["key"] == "deletedFile":
                del files[path]
            elif operation["key"] == "lfsFile":
                if value["oid"] not in self.storage:
                    raise Refused(400, f"LFS pointer pointed to a file that does not exist: {path}")
                files[path] = self.storage[value["oid"]]
                large.add(path)
            else:
                files[path] = base64.b64decode(value["content"])
                if _is_binary(files[path]):
                    raise Refused(400, f"Your push was rejected because it contains binary files: {path}")
        commit = repository.commit(header["value"]["summary"], files, large)
        place = request.url.path.removeprefix("/api/").removeprefix("models/").replace("/commit/main", "/commit/")
        return {"commitUrl": f"{self.address}/{place}{commit.sha}", "commitOid": commit.sha}

    # what is brought

    def _resolve(self, request: Request, _: bytes) -> Response:
        state, path = self._state(request), request.path_params["path"]
        if path not in state.files:
            raise Refused(404, "Entry not found", "EntryNotFound")
        content, oid, headers = state.files[path], state.hash(path), {"X-Repo-Commit": state.sha}
        if path not in state.large:
            return Response(content, headers=headers | {"ETag": f'"{oid}"'})
        self.storage[oid] = content
        linked = {"X-Linked-ETag": f'"{oid}"', "X-Linked-Size": str(len(content))}
        elsewhere = self.address.replace("127.0.0.1", "localhost")  # another host, which gets no token
        return RedirectResponse(f"{elsewhere}/storage/{oid}", 302, headers | linked)

    def _stored(self, request: Request, _: bytes) -> Response:
        return Response(self.storage[request.path_params["oid"]])


def _front_matter(text: str) -> dict[str, Any]:
    found = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    return (yaml.safe_load(found[1]) or {}) if found else {}


def _git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _is_binary(content: bytes) -> bool:
    return b"\0" in content
