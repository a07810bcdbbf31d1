"""A key comes from the environment or a credential, and shows itself only when asked."""

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.errors import StartError
from exo_supervisor.host.credentials import Secret, read_secret

KEY = "sk-or-v1-0123456789"


def credential(directory: Path, content: bytes) -> dict[str, str]:
    (directory / "openrouter").write_bytes(content)
    return {"CREDENTIALS_DIRECTORY": str(directory)}


def read(environ: dict[str, str]) -> Secret | None:
    return read_secret("OPENROUTER_API_KEY", "openrouter", environ)


def test_the_environment_comes_first(tmp_path: Path) -> None:
    secret = read({"OPENROUTER_API_KEY": KEY} | credential(tmp_path, b"another"))
    assert secret is not None
    assert (secret.reveal(), secret.where) == (KEY, "env OPENROUTER_API_KEY")


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_then_the_credential_without_its_last_newline(tmp_path: Path, ending: bytes) -> None:
    secret = read({"OPENROUTER_API_KEY": ""} | credential(tmp_path, KEY.encode() + ending))
    assert secret is not None
    assert (secret.reveal(), secret.where) == (KEY, "credential openrouter")


def test_neither_is_none(tmp_path: Path) -> None:
    assert read({}) is None
    assert read({"CREDENTIALS_DIRECTORY": str(tmp_path)}) is None
    assert read({"CREDENTIALS_DIRECTORY": str(tmp_path / "missing")}) is None
    assert read_secret("", "", {"": KEY, "CREDENTIALS_DIRECTORY": str(tmp_path)}) is None


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"sk\n\n", b"sk-a\nsk-b\n", b"sk\x00", b"sk\t", b" sk", b"sk\xff", "kéy".encode()],
)
def test_a_malformed_credential_is_refused_by_name_and_not_by_content(
    tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(StartError, match="write the bare key there") as refused:
        read(credential(tmp_path, content))
    assert str(tmp_path / "openrouter") in str(refused.value)
    assert "sk" not in str(refused.value).replace(str(tmp_path), "")
    assert refused.value.__context__ is None


def test_a_malformed_variable_is_refused_by_name() -> None:
    with pytest.raises(StartError, match=r"variable OPENROUTER_API_KEY holds .*; set") as refused:
        read({"OPENROUTER_API_KEY": f"{KEY}\nmore"})
    assert KEY not in str(refused.value)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "openrouter").mkdir()
    with pytest.raises(StartError, match=r"openrouter cannot be read: is a directory; make it"):
        read({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    with pytest.raises(StartError, match="cannot be read"):
        read_secret("", "open\0router", {"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="over 16384 bytes"):
        read(credential(tmp_path, b"x" * 1_000_000))


def test_a_secret_prints_as_a_word() -> None:
    secret = Secret(KEY, "env KEY")
    for text in (str(secret), repr(secret), f"{secret}", f"{secret:>20}", f"{[secret]}"):
        assert "[secret]" in text
        assert KEY not in text
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)


@given(value=st.text(min_size=1))
def test_any_variable_is_a_token_or_refused_without_its_content(value: str) -> None:
    try:
        secret = read({"OPENROUTER_API_KEY": value})
    except StartError as refused:
        assert refused.args[0].startswith("the environment variable OPENROUTER_API_KEY ")  # noqa: PT017
    else:
        assert secret is not None
        assert secret.reveal() == value.removesuffix("\n").removesuffix("\r")
        assert secret.reveal().isascii()
        assert secret.reveal().isprintable()


@pytest.mark.parametrize("quote", ['"', "'"])
def test_a_key_in_quotes_is_told_without_the_key(quote: str) -> None:
    with pytest.raises(StartError) as caught:
        read_secret("A_KEY", "", {"A_KEY": f"{quote}sk-secret{quote}"})
    assert "A_KEY stands in quotes" in str(caught.value)
    assert "sk-secret" not in str(caught.value)
