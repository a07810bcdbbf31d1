"""A program's own file, changed so that it can be put back byte for byte.

Beside it stands what it was: `FILE.exo-supervisor-undo`, for its owner's eyes alone. A program
that reads the file meanwhile sees the old text or the new one, whole.
"""

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from stat import S_IMODE
from tempfile import mkstemp

from exo_supervisor.cli.edits import NotMergedError
from exo_supervisor.cli.errors import VerbError
from exo_supervisor.client.json_object import Fields, read_object
from exo_supervisor.errors import why_failed

PRIVATE = 0o600
_SUFFIX = ".exo-supervisor-undo"


def change(path: Path, edit: Callable[[str], str], new: str = "", *, secret: bool = False) -> bool:
    """Change a file's text by `edit`; one that is not there begins as `new`. False: as it was.

    One that has a secret from then on is its owner's alone until it is put back.

    Raises VerbError where it cannot be read, changed or merged; then nothing was changed.
    """
    path, side = _places(path)
    found = _read(path)
    undo = _undo_of(side)
    before = _before(undo, side) if undo else found
    if undo and _is_anothers(found, before, undo):
        raise _anothers(f"{path} was changed since connect wrote it", side)
    try:
        text = new if before is None else before.decode()
        after = edit(text).encode()
    except (NotMergedError, ValueError) as error:  # a text that is no UTF-8, or no TOML
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise VerbError(f"{path} stays as it is", why=[why], hint="change it by hand") from error
    if after == found:
        return False
    mode = PRIVATE if found is None else S_IMODE(path.stat().st_mode)
    kept = {"before": None if before is None else b64encode(before).decode(), "mode": mode}
    _replace(side, json.dumps(kept | {"after": _digest(after)}).encode(), PRIVATE, _read(side))
    _replace(path, after, mode & PRIVATE if secret else mode, found)
    return True


def undo(path: Path) -> bool:
    """Put a file back as it was before `change`. False: it was not changed. Raises VerbError."""
    path, side = _places(path)
    kept = _undo_of(side)
    if not kept:
        return False
    found, before = _read(path), _before(kept, side)
    if _is_anothers(found, before, kept):
        raise _anothers(f"{path} was changed since connect wrote it, and would lose that", side)
    mode = kept.get("mode")
    if before is not None:
        _replace(path, before, mode if isinstance(mode, int) else PRIVATE, found)
    elif found is not None:
        path.unlink()
    side.unlink()
    return True


def _places(path: Path) -> tuple[Path, Path]:
    """Follow links: a file that stands elsewhere is changed there."""
    path = Path(os.path.realpath(path))
    return path, path.with_name(path.name + _SUFFIX)


def _undo_of(side: Path) -> Fields:
    raw = _read(side)
    if raw is None:
        return {}
    kept = read_object(raw)
    if "after" not in kept:
        raise _torn(side)
    return kept


def _before(kept: Fields, side: Path) -> bytes | None:
    text = kept.get("before")
    try:
        return b64decode(text, validate=True) if isinstance(text, str) else None
    except ValueError as error:
        raise _torn(side) from error


def _is_anothers(found: bytes | None, before: bytes | None, kept: Fields) -> bool:
    """Tell whether a file is neither as it was nor as we left it."""
    return found not in (None, before) and _digest(found) != kept.get("after")


def _anothers(message: str, side: Path) -> VerbError:
    why = [f"what stood there before is kept in {side}"]
    return VerbError(message, why=why, hint=f"take its entry out by hand, then rm {side}")


def _torn(side: Path) -> VerbError:
    return VerbError(f"{side} is torn", hint=f"look at the file beside it, then rm {side}")


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error) from error


def _replace(path: Path, text: bytes, mode: int, found: bytes | None) -> None:
    """Write a file anew, in one step, unless somebody else changed it meanwhile."""
    try:
        if found is not None and not os.access(path, os.W_OK):
            raise PermissionError(13, "it is read-only")
        path.parent.mkdir(parents=True, exist_ok=True)
        number, name = mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(text)
                file.flush()
                os.fchmod(number, mode)
                _keep_owner(number, path)
                os.fsync(number)
            _check_unchanged(path, found)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _unusable(path, error) from error


def _check_unchanged(path: Path, found: bytes | None) -> None:
    if _read(path) != found:
        raise VerbError(f"{path} was changed meanwhile", hint="run it again")


def _keep_owner(number: int, path: Path) -> None:
    """Leave a file, or the first in a folder, to whom it is: root may change anybody's."""
    if os.geteuid() == 0:
        status = (path if path.exists() else path.parent).stat()
        os.fchown(number, status.st_uid, status.st_gid)


def _digest(text: bytes | None) -> str:
    return sha256(text or b"").hexdigest()


def _unusable(path: Path, error: OSError) -> VerbError:
    why = [why_failed(error)]
    return VerbError(f"{path} cannot be changed", why=why, hint="nothing was changed")
