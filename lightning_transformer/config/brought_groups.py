"""Groups that come with options of other groups, such as masking with task=masked_lm."""

from omegaconf import OmegaConf

from lightning_transformer.runs.trusted_targets import option_folders

SHOWN = 4  # options that a message names at most


def bringing(group: str) -> list[str]:
    """The options whose defaults have a group, as group=option, sorted."""
    found = set()
    for folder in option_folders():
        for file in folder.glob("*/*.yaml"):
            if file.parent.name != group and group in _brought(OmegaConf.load(file)):
                found.add(f"{file.parent.name}={file.stem}")
    return sorted(found)


def belongs_to(group: str) -> str:
    """Of a group without effect, what would use it; "" where nothing does."""
    options = bringing(group)
    if not options:
        return ""
    named = ", ".join(options[:SHOWN]) + (", .." if len(options) > SHOWN else "")
    if len(options) > 1:
        return f"it belongs to {named}"
    owner, _, option = options[0].partition("=")
    whole = [text for text in bringing(owner) if _chooses(text, owner, option)]
    return f"it belongs to {named}" + (f", as {whole[0]} has it" if whole else "")


def _brought(content: object) -> dict[str, str]:
    """Group to option of the defaults of a file that are of other groups."""
    entries = content.get("defaults", []) if OmegaConf.is_dict(content) else []  # type: ignore[attr-defined]
    pairs = [item for entry in entries if OmegaConf.is_dict(entry) for item in entry.items()]
    return {str(key).partition("@")[0].strip("/"): str(option) for key, option in pairs}


def _chooses(text: str, group: str, option: str) -> bool:
    name, _, own = text.partition("=")
    files = [folder / name / f"{own}.yaml" for folder in option_folders()]
    return any(_brought(OmegaConf.load(f)).get(group) == option for f in files if f.is_file())
