"""The page that --help prints."""

import textwrap

from lightning_transformer.paths import PROGRAM

PAGE = """\
Answer "is X better than Y in a transformer?" with one command.

Trains a transformer, tests its best checkpoint, and writes everything to one folder:
outputs/runs/<date_time>/ for a run, outputs/sweeps/<sweep>/ for many.

Usage: {program} [GROUP=OPTION | KEY=VALUE ...]

Examples
  {program}                                        a decoder on Python's documentation
  {program} model=encoder_decoder                  brings its own task and data
  {program} norm=layernorm activation=gelu position=learned
  {program} data=text data.path=book.txt           your own text
  {program} optimizer.lr=1e-3 trainer.max_steps=500
  {program} -m norm=layernorm,rmsnorm seed=1,2,3 sweep=norms
  {program} resume=outputs/runs/RUN trainer.max_steps=2000
  {program} debug=fast                             every part once, in seconds

Groups and their options
{groups}

Keys
  seed=1  sweep=NAME  resume=RUN_FOLDER  and every key of a chosen option, such as norm.eps.
  All keys and values of a run:   {program} --cfg job
  Keys of one option:             {program} --cfg job --package norm

More
  {program}.generate RUN_FOLDER --prompt "..."     use a trained model
  tensorboard --logdir outputs                     look at runs
  {program} --hydra-help                           flags of Hydra, which composes all this
"""


def help_page(groups: dict[str, list[str]]) -> str:
    """The page, with the groups as they are on disk and in installed plug-ins."""
    width = max(map(len, groups))
    lines = []
    for name, options in groups.items():
        lines += textwrap.wrap(
            " ".join(options),
            width=96,
            initial_indent=f"  {name:{width}}  ",
            subsequent_indent=" " * (width + 4),
            break_on_hyphens=False,
        )
    return PAGE.format(program=PROGRAM, groups="\n".join(lines))
