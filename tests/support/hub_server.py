"""A small Hub on loopback: the HTTP endpoints that huggingface_hub's client calls, over real git repositories."""

import base64
import hashlib
import json
import os
import re
import subprocess
import tempfile
import threading
import traceback
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_" + "t" * 34
USER = "me"
LFS_NAMES = (".h5", ".png")  # the Hub decides by .gitattributes and size; here the suffix does
_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n"
_POINTER_PATTERN = re.compile(rb"version https://git-lfs\S+\noid sha256:([0-9a-f]{64})\nsize (\d+)\n")
_COMMIT = re.compile("[0-9a-f]{40}")
_AUTHOR = {f"GIT_{who}_{what}": "hub@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@dataclass
class Fault:
    """What goes wrong with the next `times` requests whose line, `METHOD /path`, matches `pattern`.

    Attributes:
        pattern: Regular expression.
        status: Answer with this status and nothing else.
        lose: Do what is asked and answer 504, as a gateway that waited too long.
        truncate: Send so many bytes of the body less than promised, and close the connection.
        corrupt: Turn one bit of the body.
        before: Called before the request is answered.
        times: Requests that it hits.
    """

    pattern: str
    status: int = 0
    lose: bool = False
    truncate: int = 0
    corrupt: bool = False
    before: Callable[[], Any] | None = None
    times: int = 1


class Repository:
    """A bare git repository with large files beside it."""

    def __init__(self, folder: Path, objects: Path, private: bool) -> None:
        self.folder, self.objects, self.private = folder, objects, private
        self.lock = threading.Lock()
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(folder))
        self.commit([], "initial commit", "refs/heads/main")

    def git(self, *arguments: str, data: bytes = b"", **environment: str) -> bytes:
        """Return what a git command prints."""
        command = ["git", *([] if arguments[0] == "init" else ["--git-dir", str(self.folder)]), *arguments]
        settings = os.environ | _AUTHOR | environment
        return subprocess.run(command, input=data, capture_output=True, check=True, env=settings).stdout.strip(b"\n")

    def resolve(self, revision: str) -> str | None:
        """Return the commit that a branch, tag, reference or hash names."""
        names = (revision,) if _COMMIT.fullmatch(revision) else (f"refs/heads/{revision}", f"refs/tags/{revision}", revision)
        for name in names:
            try:
                return self.git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").decode()
            except subprocess.CalledProcessError:
                continue
        return None

    def tree(self, commit: str) -> dict[str, dict[str, Any]]:
        """Return path -> size, git hash and, of a large file, its SHA-256."""
        entries = {}
        for line in self.git("ls-tree", "-r", "--long", commit).decode().splitlines():
            (_, _, oid, size), path = line.split("\t")[0].split(), line.split("\t")[1]
            entry: dict[str, Any] = {"type": "file", "path": path, "oid": oid, "size": int(size)}
            pointer = _POINTER_PATTERN.fullmatch(self.read(entry)) if int(size) < 200 else None
            if pointer:
                entry |= {
                    "size": int(pointer[2]),
                    "lfs": {"oid": pointer[1].decode(), "size": int(pointer[2]), "pointerSize": 1},
                }
            entries[path] = entry
        return entries

    def read(self, entry: dict[str, Any]) -> bytes:
        """Return a file's content."""
        if "lfs" in entry:
            return (self.objects / entry["lfs"]["oid"]).read_bytes()
        return zlib.decompress(self._object(entry["oid"]).read_bytes()).partition(b"\0")[2]

    def write(self, content: bytes) -> str:
        """Add a blob, as git does, and return its hash; a process for each would take most of the tests' time."""
        stored = b"blob %d\0" % len(content) + content
        oid = hashlib.sha1(stored).hexdigest()
        self._object(oid).parent.mkdir(exist_ok=True)
        self._object(oid).write_bytes(zlib.compress(stored))
        return oid

    def _object(self, oid: str) -> Path:
        return self.folder / "objects" / oid[:2] / oid[2:]

    def commit(self, operations: list[dict[str, Any]], message: str, reference: str, parent: str | None = None) -> str:
        """Apply the operations of the Hub's commit endpoint upon `parent`, and point `reference` there."""
        index = {"GIT_INDEX_FILE": str(self.folder / "index.tmp")}
        self.git("read-tree", *([parent] if parent else ["--empty"]), **index)
        lines = []
        for operation in operations:
            kind, value = operation["key"], operation["value"]
            if kind == "deletedFile":
                lines.append(f"0 {'0' * 40}\t{value['path']}")
                continue
            content = base64.b64decode(value["content"]) if kind == "file" else _POINTER.format(**value).encode()
            lines.append(f"100644 {self.write(content)}\t{value['path']}")
        self.git("update-index", "--index-info", data="".join(f"{line}\n" for line in lines).encode(), **index)
        tree = self.git("write-tree", **index).decode()
        parents = ["-p", parent] if parent else []
        commit = self.git("commit-tree", tree, *parents, "-m", message).decode()
        self.git("update-ref", reference, commit)
        return commit


class HubServer(ThreadingHTTPServer):
    """The server; `with HubServer(folder, port):` runs it in a thread."""

    daemon_threads = True

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.folder = folder
        self.lock = threading.Lock()
        self.clear()

    def __enter__(self) -> "HubServer":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def clear(self) -> None:
        """Forget everything."""
        self.home = Path(tempfile.mkdtemp(dir=self.folder))
        self.objects = self.home / "objects"
        self.objects.mkdir()
        self.repositories: dict[str, Repository] = {}
        self.faults: list[Fault] = []
        self.requests: list[str] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no error of the server."""

    def create(self, repo_id: str, private: bool = False) -> Repository:
        """Return a new repository."""
        folder = self.home / f"{repo_id.replace('/', '--')}.git"
        self.repositories[repo_id] = Repository(folder, self.objects, private)
        return self.repositories[repo_id]

    def fault_for(self, line: str) -> Fault | None:
        """Return the fault that hits a request, and count it."""
        with self.lock:
            self.requests.append(line)
            for fault in self.faults:
                if fault.times and re.search(fault.pattern, line):
                    fault.times -= 1
                    return fault
        return None


class _Answer(Exception):  # noqa: N818 (most of them are no errors)
    def __init__(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.status, self.body, self.headers = status, body, {name.replace("_", "-"): text for name, text in headers.items()}


def _error(status: int, code: str = "", message: str = "") -> _Answer:
    return _Answer(status, json.dumps({"error": message or code}).encode(), X_Error_Code=code, X_Error_Message=message or code)


def _json(value: Any) -> _Answer:
    return _Answer(200, json.dumps(value).encode(), Content_Type="application/json")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for an acknowledgement
    server: HubServer

    def log_message(self, *_: Any) -> None:
        """Be silent."""

    def _serve(self) -> None:
        fault = self.server.fault_for(f"{self.command} {self.path} {self.headers.get('Range', '')}".strip())
        if fault and fault.before:
            fault.before()
        body = self._body()
        try:
            if fault and fault.status:
                raise _error(fault.status, "RepoNotFound" if fault.status == 401 else "")
            answer = self._route(body)
            if fault and fault.lose:
                raise _error(504)
        except _Answer as raised:
            answer = raised
        except Exception:  # a fault of the server itself is told to the test
            answer = _error(500, "", traceback.format_exc())
        content = answer.body
        if fault and fault.corrupt:
            content = content[:-1] + bytes([content[-1] ^ 1])
        self.send_response(answer.status)
        for name, text in answer.headers.items():
            self.send_header(name, text)
        if "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) - (fault.truncate if fault else 0)])
        if fault and fault.truncate:
            self.close_connection = True

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    do_GET = do_HEAD = do_POST = do_PUT = _serve  # noqa: N815

    def _route(self, body: bytes) -> _Answer:
        url = urlsplit(self.path)
        path, query = url.path, parse_qs(url.query)
        for pattern, handler in _ROUTES:
            found = re.fullmatch(pattern, f"{self.command} {path}")
            if found:
                return handler(self, body, query, **{name: unquote(text or "") for name, text in found.groupdict().items()})
        raise _error(404, "", f"no such endpoint: {self.command} {path}")

    # Who may

    def _authorised(self) -> bool:
        given = self.headers.get("Authorization")
        if given not in (None, f"Bearer {TOKEN}"):
            raise _error(401, "", "Invalid credentials in Authorization header")
        return given is not None

    def _repository(self, repo: str, write: bool = False) -> Repository:
        authorised = self._authorised()
        found = self.server.repositories.get(repo)
        if found is None or (found.private and not authorised):
            raise _error(404 if authorised else 401, "RepoNotFound", "Repository not found")
        if write and not authorised:
            raise _error(401, "", "Write access asks for a token")
        if write and not repo.startswith(f"{USER}/"):
            raise _error(403, "", "You have no right to write here")
        return found

    def _commit(self, repository: Repository, revision: str) -> str:
        commit = repository.resolve(revision or "main")
        if commit is None:
            raise _error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit

    # Endpoints

    def _create(self, body: bytes, query: Any) -> _Answer:
        asked = json.loads(body)
        if not self._authorised():
            raise _error(401, "", "Creating asks for a token")
        repo = f"{asked.get('organization') or USER}/{asked['name']}"
        if repo in self.server.repositories:
            raise _Answer(409, json.dumps({"error": "You already created this model repo", "url": repo}).encode())
        if not repo.startswith(f"{USER}/"):
            raise _error(403, "", "You have no right to create here")
        self.server.create(repo, asked.get("private") or asked.get("visibility") == "private")
        return _json({"url": f"{self._base}/{repo}"})

    @property
    def _base(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def _info(self, body: bytes, query: Any, repo: str, revision: str = "") -> _Answer:
        repository = self._repository(repo)
        commit = self._commit(repository, revision)
        siblings = [{"rfilename": path} for path in repository.tree(commit)]
        return _json({"id": repo, "sha": commit, "private": repository.private, "siblings": siblings, "tags": []})

    def _list(self, body: bytes, query: Any) -> _Answer:
        self._authorised()
        listed = []
        for repo, repository in self.server.repositories.items():
            card = repository.tree("main").get("README.md")
            text = repository.read(card).decode() if card and not repository.private else ""
            tags = re.findall(r"^- (\S+)$", text.split("\n---")[0], re.MULTILINE)
            if set(query.get("filter", [])) <= set(tags):
                listed.append({"id": repo, "tags": tags, "downloads": 0, "likes": 0, "private": repository.private})
        return _json(listed)

    def _tree(self, body: bytes, query: Any, repo: str, revision: str) -> _Answer:
        repository = self._repository(repo)
        return _json(list(repository.tree(self._commit(repository, revision)).values()))

    def _refs(self, body: bytes, query: Any, repo: str) -> _Answer:
        repository = self._repository(repo)
        lines = repository.git("for-each-ref", "--format=%(refname) %(objectname)").decode().split("\n")
        references = [dict(zip(("ref", "targetCommit"), line.split(), strict=True)) for line in lines]
        named = [entry | {"name": entry["ref"].split("/", 2)[2]} for entry in references]
        kinds = {"branches": "refs/heads/", "tags": "refs/tags/"}
        return _json(
            {kind: [entry for entry in named if entry["ref"].startswith(at)] for kind, at in kinds.items()} | {"converts": []}
        )

    def _preupload(self, body: bytes, query: Any, repo: str, revision: str) -> _Answer:
        repository = self._repository(repo, write=True)
        known = repository.tree(self._commit(repository, revision))
        files = []
        for file in json.loads(body)["files"]:
            mode = "lfs" if file["path"].endswith(LFS_NAMES) else "regular"
            entry = known.get(file["path"])
            oid = None if entry is None else entry["lfs"]["oid"] if "lfs" in entry else entry["oid"]
            files.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return _json({"files": files})

    def _lfs_batch(self, body: bytes, query: Any, repo: str) -> _Answer:
        self._repository(repo, write=True)
        objects = []
        for file in json.loads(body)["objects"]:
            answer = {"oid": file["oid"], "size": file["size"]}
            if not (self.server.objects / file["oid"]).exists():
                answer["actions"] = {"upload": {"href": f"{self._base}/lfs/{file['oid']}"}}
            objects.append(answer)
        return _json({"transfer": "basic", "objects": objects})

    def _lfs_put(self, body: bytes, query: Any, oid: str) -> _Answer:
        if hashlib.sha256(body).hexdigest() != oid:
            raise _error(400, "", "The content is not what was announced")
        (self.server.objects / oid).write_bytes(body)
        return _Answer(200)

    def _commit_files(self, body: bytes, query: Any, repo: str, revision: str) -> _Answer:
        repository = self._repository(repo, write=True)
        with repository.lock:
            head = self._commit(repository, revision)
            header, *operations = [json.loads(line) for line in body.splitlines()]
            if header["value"].get("parentCommit") not in (None, head):
                raise _error(412, "", "A commit has happened since. Please refresh and try again.")
            for operation in operations:
                if operation["key"] == "lfsFile" and not (self.server.objects / operation["value"]["oid"]).exists():
                    raise _error(400, "", "A large file was not uploaded")
            number = len(repository.git("for-each-ref", "refs/pr").splitlines()) + 1
            reference = f"refs/pr/{number}" if "create_pr" in query else f"refs/heads/{revision}"
            commit = repository.commit(operations, header["value"]["summary"], reference, head)
        answer = {"commitUrl": f"{self._base}/{repo}/commit/{commit}", "commitOid": commit, "success": True}
        return _json(answer | {"pullRequestUrl": f"{self._base}/{repo}/discussions/{number}" if "create_pr" in query else None})

    def _tag(self, body: bytes, query: Any, repo: str, revision: str) -> _Answer:
        repository = self._repository(repo, write=True)
        tag = json.loads(body)["tag"]
        if repository.resolve(f"refs/tags/{tag}"):
            raise _error(409, "", f"Tag {tag} exists")
        repository.git("update-ref", f"refs/tags/{tag}", self._commit(repository, revision))
        return _json({})

    def _resolve(self, body: bytes, query: Any, repo: str, revision: str, path: str) -> _Answer:
        repository = self._repository(repo)
        commit = self._commit(repository, revision)
        entry = repository.tree(commit).get(path)
        if entry is None:
            answer = _error(404, "EntryNotFound", "Entry not found")
            answer.headers["X-Repo-Commit"] = commit
            raise answer
        about = {"X_Repo_Commit": commit}
        if "lfs" in entry:
            linked = {"X_Linked_Size": str(entry["size"]), "X_Linked_Etag": f'"{entry["lfs"]["oid"]}"'}
            elsewhere = f"http://localhost:{self.server.server_port}"  # another host, as the Hub's large files have
            return _Answer(302, b"", Location=f"{elsewhere}/lfs/{entry['lfs']['oid']}", **linked, **about)
        return self._content(repository.read(entry), entry["oid"], about)

    def _lfs_get(self, body: bytes, query: Any, oid: str) -> _Answer:
        return self._content((self.server.objects / oid).read_bytes(), oid, {})

    def _content(self, content: bytes, etag: str, headers: dict[str, str]) -> _Answer:
        headers = headers | {"ETag": f'"{etag}"', "Accept_Ranges": "bytes", "Content_Type": "application/octet-stream"}
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if self.command == "HEAD":
            return _Answer(200, b"", Content_Length=str(len(content)), **headers)
        if asked:
            start = int(asked[1])
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return _Answer(206, content[start:], Content_Range=span, **headers)
        return _Answer(200, content, **headers)

    def _whoami(self, body: bytes, query: Any) -> _Answer:
        if not self._authorised():
            raise _error(401, "", "Who are you?")
        return _json({"type": "user", "name": USER, "orgs": []})

    def _validate(self, body: bytes, query: Any) -> _Answer:
        return _json({"errors": [], "warnings": []})


_REPO = r"(?P<repo>[\w.-]+/[\w.-]+)"
_ROUTES: list[tuple[str, Callable[..., _Answer]]] = [
    (r"GET /api/whoami-v2", _Handler._whoami),
    (r"POST /api/validate-yaml", _Handler._validate),
    (r"POST /api/repos/create", _Handler._create),
    (r"GET /api/models", _Handler._list),
    (rf"GET /api/models/{_REPO}", _Handler._info),
    (rf"GET /api/models/{_REPO}/revision/(?P<revision>[^/]+)", _Handler._info),
    (rf"GET /api/models/{_REPO}/tree/(?P<revision>[^/]+)", _Handler._tree),
    (rf"GET /api/models/{_REPO}/refs", _Handler._refs),
    (rf"POST /api/models/{_REPO}/preupload/(?P<revision>[^/]+)", _Handler._preupload),
    (rf"POST /api/models/{_REPO}/commit/(?P<revision>[^/]+)", _Handler._commit_files),
    (rf"POST /api/models/{_REPO}/tag/(?P<revision>[^/]+)", _Handler._tag),
    (rf"POST /{_REPO}\.git/info/lfs/objects/batch", _Handler._lfs_batch),
    (r"PUT /lfs/(?P<oid>[0-9a-f]{64})", _Handler._lfs_put),
    (r"(?:GET|HEAD) /lfs/(?P<oid>[0-9a-f]{64})", _Handler._lfs_get),
    (rf"(?:GET|HEAD) /{_REPO}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", _Handler._resolve),
]
