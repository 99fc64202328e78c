"""Output that cannot end a program."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.helpers.short_runs import environment

START = (
    "import sys\n"
    "from lightning_transformer.cli.console import outlive_readers, write_any_character\n"
    "write_any_character(); outlive_readers()\n"
)


def run(code, **options):
    call = [sys.executable, "-c", START + code]
    env = {**environment(), **options.pop("env", {})}
    return subprocess.run(call, env=env, stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1"])
def test_a_character_that_the_console_lacks_is_spelt_out(encoding):
    done = run(
        "print('a\\u03b1'); print('\\u03b2', file=sys.stderr)",
        env={"PYTHONIOENCODING": encoding},
        stdout=subprocess.PIPE,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "a\\u03b1\n", "\\u03b2\n")


def test_what_the_package_prints_itself_keeps_its_width():
    done = run(
        "print('\\u22120.5 \\u2026 \\u03b1\\u22121')",
        env={"PYTHONIOENCODING": "ascii"},
        stdout=subprocess.PIPE,
    )
    assert (done.returncode, done.stdout) == (0, "-0.5 ~ \\u03b1-1\n")


def test_a_reader_that_leaves_does_not_end_the_program(tmp_path):
    """More than a pipe holds, into one that nobody reads; then the rest of the work."""
    end, start = os.pipe()
    os.close(end)
    work = f"print('x' * 10**6, flush=True); print('y'); open({str(tmp_path / 'done')!r}, 'w')"
    done = run(work, stdout=start)
    os.close(start)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "done").exists()


def test_a_full_pipe_that_does_not_wait_is_waited_for():
    end, start = os.pipe()
    os.set_blocking(start, False)
    call = [sys.executable, "-c", START + "print('x' * 10**6); print('end')"]
    with subprocess.Popen(call, env=environment(), stdout=start) as process:
        os.close(start)
        with os.fdopen(end) as stream:
            text = stream.read()
        assert process.wait() == 0
    assert text == "x" * 10**6 + "\nend\n"


def test_closed_output_is_taken_by_no_other_file(tmp_path):
    """The file that is opened next must not become standard output."""
    path = tmp_path / "file"
    code = START + f"file = open({str(path)!r}, 'w'); print('lost', flush=True); file.write('kept')"
    call = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", sys.executable, "-c", code]
    assert subprocess.run(call, env=environment()).returncode == 0
    assert path.read_text() == "kept"
