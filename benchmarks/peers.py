"""Which training loops our command can be held against here; see peer_loop.py. Loads no torch."""

from importlib.util import find_spec
from pathlib import Path

NANOGPT = "nanogpt="  # a path follows
NEEDED = {
    "bare": (),
    "transformers": ("transformers",),
    "trainer": ("transformers", "accelerate"),
}


def problem(name: str) -> str | None:
    """Why there is no such loop here, in words; None where there is."""
    if name.startswith(NANOGPT):
        file = Path(name.removeprefix(NANOGPT)) / "model.py"
        return None if file.is_file() else "has no model.py; name a clone of karpathy/nanoGPT"
    if name not in NEEDED:
        return f"is none of {', '.join(NEEDED)}, {NANOGPT}PATH"
    missing = [package for package in NEEDED[name] if not find_spec(package)]
    return f"is not installed; pip install {' '.join(missing)}" if missing else None
