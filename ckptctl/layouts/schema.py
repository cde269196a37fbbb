"""How one framework lays checkpoints out, as data. The scanning engine knows no framework; it knows these fields.

A *glob* is matched against one name with ``fnmatch``; a *pattern* is a regular expression that must match a whole name.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Literal, NamedTuple

from ckptctl.core.model import Unit

FilePlace = Literal["inside", "beside", "above", "below"]
"""Where a file lies: in the checkpoint's own folder, in the folder of the checkpoints, in the one above that, or, by a
relative glob, in a folder below it."""
FileFormat = Literal["json", "jsonl", "csv", "yaml", "npz", "torch"]
Join = Literal["step", "epoch", "index", "name"]


class MetricSource(NamedTuple):
    """A file in which training left metrics, and how its rows are matched with checkpoints."""

    path: str
    """The file's name. ``{epoch}``, ``{step}`` and ``{name}`` stand for the checkpoint's; "" is the checkpoint itself.
    ``inside`` it may hold ``/``; ``below`` it is a relative glob (``*/vis_data/scalars.json``)."""
    place: FilePlace
    format: FileFormat
    rows: str = ""
    """Where the rows are, keys joined by ``/`` ("log_history"); "": the whole is a row, a list of them, or a table."""
    column: str = ""
    """The column that says which checkpoint a row is about; "": the file is about its checkpoint alone. Several names
    may be given, parted by ``|``: the first that the row has."""
    by: Join = "step"
    """What the column says: a step, an epoch, a save counter, or the checkpoint's name."""
    offset: int = 0
    """The column counts this much more than the checkpoint's name does (1: rows from 1, names from 0)."""
    reach: int = 0
    """So much lower the column may be, and still be about the checkpoint: the nearest counts."""
    take: tuple[str, ...] = ("*",)
    """Globs of the metrics among the columns; counters are never metrics. Nested keys are joined by ``/``."""
    leave: tuple[str, ...] = ()
    """Globs of columns that are none: times, rates, settings."""
    front: str = ""
    """What the names of the metrics' columns begin with, to be left out ("metrics/"); others are none then."""
    names: Mapping[str, str] = {}
    """Columns to call otherwise ("metric": "eval_metric"); "" stands for the file's own single value."""
    numbers: Mapping[str, str] = {}
    """Columns that tell "epoch" or "step" of the checkpoint: {"epoch": "epoch", "step": "global_step"}."""
    is_history: bool = False
    """``inside``: whether each file repeats the rows of all earlier checkpoints, so that the newest tells of them."""


class PointerFile(NamedTuple):
    """A file, not a link, that names a checkpoint; it lies beside the checkpoints, or ``inside`` each of them."""

    path: str
    """A glob of its name."""
    value: Literal["name", "step", "textproto", "json"]
    """What it holds: a name or path, of which the last part counts (framework by framework it is relative, absolute, or
    of another machine); a number, or a name; TensorFlow's state file; a JSON document."""
    field: str = ""
    """Of JSON: the keys to the one that it names, joined by ``/``."""
    listing: str = ""
    """Of JSON: the keys to a list of checkpoints; those that go are taken out of it before they go."""
    listed: str = ""
    """Of JSON: the keys, in an item of the list, to the name."""
    place: Literal["inside", "beside"] = "beside"
    is_best: bool = False
    """Whether the one that it names is the best, by training's own judgement."""
    unset: str = ""
    """What it holds while it names none yet."""
    commits: bool = False
    """Whether it is written once a save is done, so that a higher number than the named one's is not known to be."""


class OriginFile(NamedTuple):
    """A file in which training noted its settings, among them the checkpoint that it began from."""

    file: str
    """Its name; wherever it lies."""
    keys: tuple[str, ...]
    """The settings that may be a checkpoint's path."""
    example: str
    """A line as it is written, which names ``runs/a/x``; the tests read each."""


class RecordedMetric(NamedTuple):
    """A file in which training noted by what it ranks."""

    path: str
    place: FilePlace
    format: Literal["json", "yaml", "torch"]
    monitor: str = ""
    """Keys to the metric's name, joined by ``/``."""
    prefix: str = ""
    """What the metric's own name begins with, where the noted one may lack it ("eval_")."""
    mode: str = ""
    """Keys to what says which way is better."""
    modes: Mapping[str, Literal["min", "max"]] = {}
    """What it says, in lower case, and what that means: {"true": "max", "false": "min"}."""


class RunLog(NamedTuple):
    """A file that a logger leaves of a run, whatever saved its checkpoints: it is read wherever it lies beside some."""

    path: str
    """Its name."""
    holds: Literal["table", "scores"]
    """A CSV table by epoch, in which steps count from 0; or a YAML mapping of checkpoints' paths to scores."""
    above: bool = False
    """Whether it may lie in the folder above, too."""
    masks_nan: bool = False
    """Whether the worst infinity of the mode stands in it for NaN."""


class Slimming(NamedTuple):
    """What of a checkpoint only serves to resume training."""

    files: tuple[str, ...] = ()
    """Of a folder: globs of what holds no weights."""
    require: tuple[str, ...] = ()
    """Of a folder: globs of which one must be there, since it holds the weights."""
    may_be_empty: bool = False
    """Whether the files of ``require`` may be there without the weights: then each tensor in them is looked at."""
    drop: tuple[str, ...] = ()
    """Of a torch file: top-level keys that hold no weights."""
    scores: tuple[str, ...] = ()
    """Which of these keys hold the scores that checkpoints are ranked by, too: a prune leaves them in."""
    refuse: str | None = None
    """Why nothing may be taken out."""


class Layout(NamedTuple):
    """One framework's habit."""

    name: str
    """As shown, in JSON too; what stands before the first ``-`` is the family, one training's layouts share it."""
    unit: Unit
    extensions: tuple[str, ...] = ()
    """What a name ends in. Without ``names``, any name that does, read by the grammar of ``core/names/parse.py``."""
    names: tuple[str, ...] = ()
    """Patterns. Their groups: ``epoch``, ``step``, ``index`` (a save counter), ``metric`` and ``value``, ``version``;
    ``free`` is read by the grammar of ``core/names/parse.py``; ``rank``, ``shard``, ``of`` number the members of a
    family, whose other parts tell families apart (``stem`` where only it does, and it is the family's name); ``lead``
    is what a family's loading member has and must have; ``folder`` what only those have that are folders. A group
    called as a role (last, best, final, …) gives that role."""
    reserved: tuple[str, ...] = ()
    """Without ``names``: patterns of names that are read by these alone, and not by the grammar; groups as above."""
    sentinels: tuple[str | tuple[str, ...], ...] = ()
    """Of a folder: globs of which one lies directly in it and proves the layout; a tuple is needed as a whole."""
    hints: tuple[str, ...] = ()
    """Of a folder: globs of what a save under way may hold first; with the name they show the layout, if no other."""
    neighbors: tuple[str, ...] = ()
    """Globs of which one lies beside the checkpoint (``../x``: in the folder above) and shows the layout. Without any,
    the name of a file or family must be plain enough; a folder's row that needs one goes before those that do not."""
    required: tuple[str, ...] = ()
    """Of a folder: globs, of each of which something is there once the save is complete; ``a|b``: of either. Of a
    family: the same of its members' names."""
    written_last: bool = False
    """Whether what is required is written last, or all of it appears at once by a rename: then it proves a save done.
    Else one is only taken for whole when nobody has written to it for a while."""
    done: str = ""
    """The file that a save ends with, which may be empty: a save without it is unfinished, and one with it is done. Of
    a folder a glob of its name in there (``_SUCCESS``). Of a file or family a name beside it: ``{stem}`` stands for the
    checkpoint's name without extension (the group ``stem``, where there is one), ``{name}`` for the full name of each
    file, so that every file needs its own. A family with a folder for each rank has it above these, or in each."""
    newest_lacks: tuple[str, ...] = ()
    """What the training's last save is without: of ``required``, or of what all others hold."""
    ranks: tuple[str, ...] = ()
    """Patterns of what is in a folder once for each rank, or for each of several kinds of rank; their groups are
    numbers. What lies deeper has its path (``ranks/optim_(\\d+)\\.bin``). Complete are all combinations from 0, as many
    as the siblings have."""
    rank_folders: tuple[str, ...] = ()
    """Patterns of folders which hold, under one name, each rank's share of a checkpoint of the folder above."""
    manifest: str = ""
    """The file that names all others in its own bytes: of a folder ``.metadata`` of torch, of a family a glob of the
    JSON member that does."""
    beside: tuple[str, ...] = ()
    """Globs of what training leaves beside checkpoints, files and folders: neither checkpoints nor strays."""
    in_progress: tuple[str, ...] = ()
    """Patterns of names, of files and folders, that a save has while it is written."""
    marker: str = ""
    """The ending of an empty file that stands beside a checkpoint, named as it without extension, while the framework
    writes or deletes it."""
    pointers: tuple[PointerFile, ...] = ()
    sources: tuple[MetricSource, ...] = ()
    """The first that tells a metric counts."""
    recorded: tuple[RecordedMetric, ...] = ()
    """The first that is there counts."""
    logs: tuple[RunLog, ...] = ()
    origins: tuple[OriginFile, ...] = ()
    epoch_base: int = 0
    """What the first epoch is called in names."""
    step_base: int = 0
    """What to add to a step in a name for the number of steps done: 1 where names count from 0."""
    digits: int | None = None
    """How many decimals of ``value`` were measured, where more are written."""
    always: Literal["min", "max"] | None = None
    """The mode that the framework knows for all its scores."""
    slimming: Slimming | None = None
    """None: nobody has looked."""
    records: str = ""
    """The module of ``ckptctl/scan/metrics`` that reads what callbacks remember inside of each file; "": nothing is."""
    is_proved: bool = False
    """Of a file, or a family's files: whether its format shows by itself that it is whole."""
    no_links: str | None = None
    """Why no name but the framework's own may lie beside its checkpoints, if so."""
    is_generic: bool = False
    """Whether it stands for files that no row names, or for a name that many programs write: then it gives way to any
    other layout in the same folder."""
    kinds: tuple[str, ...] = ()
    """What sniffing finds in its files, where their names are such as many programs write: with another content they
    are another's. Any content where it is empty."""
    program: str = ""
    """Of a row without ``names``: what sniffing calls the program whose files it is for; only those, and names that the
    grammar writes with ``=``, are its own."""
    examples: tuple[str, ...] = ()
    """Real names; the tests read each."""

    @property
    def tells_end(self) -> bool:
        """Whether a save that is done can be told from one under way by more than its age."""
        return self.written_last or bool(self.marker or self.done)

    @property
    def family(self) -> str:
        """Which framework it is of, for layouts of one training in one folder."""
        return self.name.partition("-")[0]


FolderLayout = partial(Layout, unit="dir")
FileLayout = partial(Layout, unit="file", is_proved=True)
FamilyLayout = partial(Layout, unit="family", is_proved=True)
"""What a row is a call of, by its unit; most formats of files show by themselves that they are whole."""
