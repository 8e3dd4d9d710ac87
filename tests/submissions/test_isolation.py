"""Isolation: a contained process reaches no network, no process, no file and no secret but its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from l96bench.submissions.contained import Limits, run_contained

CONNECT = "import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
FORBIDDEN = {
    "read": "open('/etc/passwd').read()",
    "read-low": "import os; os.open('/etc/passwd', os.O_RDONLY)",
    "read-user": "from pathlib import Path; next(Path.home().iterdir())",
    "read-link": "import os; os.symlink('/etc/passwd', 'link'); open('link').read()",
    "read-other-process": "open('/proc/1/environ').read()",
    "write-package": "import l96bench; open(l96bench.__file__, 'a')",
    "write-beside": "open('../stolen', 'w')",
    "write-user": "import os; open(os.path.expanduser('~/.l96bench-stolen'), 'w')",
    "remove": "import os; os.remove({file!r})",
    "rename": "import os; os.rename({file!r}, 'mine')",
    "folder": "import os; os.mkdir({file!r} + '-folder')",
    "program": "import subprocess; subprocess.run(['/bin/true'], check=True)",
    "shell": "import os; os.system('exit 0') and open('/etc/passwd')",
    "tcp": CONNECT,
    "udp": "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x', ('127.0.0.1', {port}))",
    "names": "import socket; socket.getaddrinfo('example.org', 80)",
}
ALLOWED = {
    "own-folder": "open('mine', 'w').write('a'); assert open('mine').read() == 'a'",
    "temporary": "import tempfile; tempfile.TemporaryFile().write(b'a')",
    "import": "import colorsys, sqlite3, scipy.optimize",
    "null": "open('/dev/null', 'w').write('a')",
}
SECRETS = "import os; assert not [each for each in os.environ if 'TOKEN' in each or 'KEY' in each], list(os.environ)"


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[dict[str, object]]:
    """What the texts above are filled with: a port that is listened to, and a file of somebody else."""
    file = tmp_path / "other"
    file.write_text("secret")
    server = socket.create_server(("127.0.0.1", 0))
    with server:
        yield {"port": server.getsockname()[1], "file": str(file)}
    assert file.read_text() == "secret"
    assert sorted(tmp_path.iterdir()) == [file]


def test_the_tested_connection_works_outside(filled: dict[str, object]) -> None:
    exec(CONNECT.format(**filled))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the system has other means")
def test_a_contained_process_reaches_nothing_but_its_own(
    filled: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    names = [*FORBIDDEN, *ALLOWED, "secrets"]
    items = [text.format(**filled) for text in (FORBIDDEN | ALLOWED).values()] + [SECRETS]
    outcomes = dict(zip(names, run_contained("builtins:exec", items, Limits(seconds=30.0)), strict=True))
    assert {name: outcomes[name].fault for name in (*ALLOWED, "secrets")} == dict.fromkeys((*ALLOWED, "secrets"), "")
    reached = [
        name for name in FORBIDDEN if not outcomes[name].fault.startswith(("PermissionError", "OSError", "gaierror"))
    ]
    assert reached == []


FALLBACK = """
import os, sys
from pathlib import Path
from l96bench.submissions.isolation import leave_files, leave_network, read_by_libraries
os.chdir(sys.argv[1])
assert not leave_network(kernel=False)
assert not leave_files([*read_by_libraries(), Path("/dev/null")], Path.cwd(), kernel=False)
for text in sys.argv[2:]:
    try:
        exec(text)
    except OSError as error:
        print(type(error).__name__)
    else:
        print("reached")
"""


@pytest.mark.slow
def test_where_the_kernel_does_not_help_python_code_is_refused(
    filled: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    texts = [text.format(**filled) for name, text in (FORBIDDEN | ALLOWED).items() if name != "shell"]
    own = tmp_path_factory.mktemp("own")
    command = [sys.executable, "-c", FALLBACK, str(own), *texts]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"TMPDIR": str(own)})
    refused = ["PermissionError"] * (len(texts) - len(ALLOWED))
    assert done.stdout.split() == refused + ["reached"] * len(ALLOWED)


WATCH = """
import os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            print(os.environ.get("ORT_DISABLE_TELEMETRY"))
sys.meta_path.insert(0, Watch())
from l96bench import Polynomial
from l96bench.graphs.models import exported
exported(Polynomial([1.0, 2.0]), 8)
"""


@pytest.mark.slow
def test_telemetry_is_off_before_the_first_import_of_onnxruntime_and_leaves_nothing(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    run = subprocess.run(
        [sys.executable, "-c", WATCH],
        capture_output=True,
        text=True,
        check=True,
        env=env | {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)},
    )
    assert run.stdout.split() == ["1"]
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix not in (".nbi", ".nbc")] == []


def test_onnxruntime_is_imported_by_this_package_alone_and_in_one_place() -> None:
    """Importing `l96bench` sets the variable; a script that imports the runtime before would be too early."""
    root = Path(__file__).parents[2]
    files = [path for name in ("l96bench", "baselines", "benchmarks") for path in (root / name).rglob("*.py")]
    words = ("import onnxruntime", "from onnxruntime")
    found = [path.relative_to(root).as_posix() for path in files if any(word in path.read_text() for word in words)]
    assert found == ["l96bench/graphs/onnx_closure.py"]
