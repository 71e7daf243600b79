from __future__ import annotations

from pathlib import Path

import pytest

from mailwye.config.check_files import EXPIRES_SOON, check_files
from mailwye.config.problem import Severity
from mailwye.runtime.tls_certificates import TlsError
from mailwye.testing.authority import Authority

NOW = 1_800_000_000.0
TEXT = """\
hostname = "mx.contoso.com"
data_directory = "data"
[[listener]]
name = "mx"
kind = "mx"
address = "127.0.0.1"
port = 2525
[tls]
certificate = "mx.pem"
private_key = "mx.key"
trusted_authorities = ["ca.pem"]
"""


def check(folder: Path, *, times: tuple[float, float] = (NOW - 1, NOW + 10 * EXPIRES_SOON), error: str = "") -> list[str]:
    path = folder / "mailwye.toml"
    path.write_text(TEXT)

    def read_pair(certificate: Path, private_key: Path) -> tuple[float, float]:
        if error:
            raise TlsError(error)
        return times

    found = check_files(path, now=NOW, read_pair=read_pair)
    return [f"{problem.severity.value} {problem}".replace(f"{folder}/", "") for problem in found]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Authority(tmp_path, now=NOW)
    for name in ("mx.pem", "mx.key"):
        (tmp_path / name).touch()
    return tmp_path


def test_scenario_files_are_accepted() -> None:
    scenarios = Path(__file__).resolve().parents[2] / "scenarios"
    found = check_files(scenarios / "mailwye.toml", scenarios / "contoso.yaml", now=NOW)
    assert [problem for problem in found if problem.is_error] == []
    assert {problem.field for problem in found} <= {"certificate", "private_key", "trusted_authorities"}


def test_both_files_are_checked_together(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(TEXT.partition("[tls]")[0] + "foo = 1\n")
    (tmp_path / "o.yaml").write_text("OutboundConnector: {Name: a, RecipientDomains: b.com, UseMXRecord: false}\n")
    found = check_files(tmp_path / "m.toml", tmp_path / "o.yaml")
    assert [(Path(problem.file).name, problem.line, problem.field) for problem in found] == [
        ("m.toml", 8, "foo"),
        ("o.yaml", 1, "SmartHosts"),
    ]


def test_an_unreadable_organization_is_told_beside_the_rest(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(TEXT.partition("[tls]")[0])
    found = check_files(tmp_path / "m.toml", tmp_path / "none.yaml")
    assert ["cannot be read" in str(problem) for problem in found] == [True]


def test_a_real_pair_is_read(tmp_path: Path) -> None:
    pair = Authority(tmp_path, now=NOW).issue("mx", ("mx.contoso.com",))
    (tmp_path / "mx.pem").write_bytes(Path(pair.certificate).read_bytes())
    (tmp_path / "mx.key").write_bytes(Path(pair.private_key).read_bytes())
    path = tmp_path / "mailwye.toml"
    path.write_text(TEXT)
    assert check_files(path, now=NOW) == []
    other = Authority(tmp_path / "other", now=NOW).issue("mx", ("mx.contoso.com",))
    (tmp_path / "mx.key").write_bytes(Path(other.private_key).read_bytes())
    (found,) = check_files(path, now=NOW)
    assert (found.field, found.line, found.severity) == ("private_key", 10, Severity.ERROR)
    assert "does not belong to the certificate" in str(found)


def test_dates_of_certificates(folder: Path) -> None:
    assert check(folder) == []
    assert check(folder, times=(NOW + 1, NOW + 2)) == [
        "error mailwye.toml:9: [tls]: certificate: mx.pem is not valid yet. Check the clock, or use another certificate."
    ]
    assert check(folder, times=(0.0, NOW)) == ["error mailwye.toml:9: [tls]: certificate: mx.pem has expired. Renew it."]
    assert check(folder, times=(0.0, NOW + EXPIRES_SOON)) == [
        "warning mailwye.toml:9: [tls]: certificate: mx.pem expires in 14 days. Renew it."
    ]


def test_faults_of_files(folder: Path) -> None:
    assert check(folder, error="some words") == ["error mailwye.toml:9: [tls]: certificate: some words."]
    (folder / "ca.pem").write_text("nothing")
    assert "error mailwye.toml:11: [tls]: trusted_authorities: ca.pem: no certificate in PEM form" in check(folder)[0]
    (folder / "mx.key").unlink()
    assert (
        check(folder)[0] == "warning mailwye.toml:10: [tls]: private_key: mx.key is not on this machine. Put it there or correct the path."
    )


def test_authorities_of_connectors_are_read_too(folder: Path) -> None:
    path = folder / "mailwye.toml"
    (folder / "garbage.pem").write_text("nothing")
    path.write_text(TEXT + '[tls.authorities]\nown = ["ca.pem", "missing.pem", "garbage.pem"]\n')
    found = check_files(path, now=NOW, read_pair=lambda _certificate, _key: (NOW - 1, NOW + 10 * EXPIRES_SOON))
    assert [(problem.severity, problem.line) for problem in found] == [(Severity.WARNING, 13), (Severity.ERROR, 13)]
    assert "missing.pem is not on this machine" in str(found[0])
    assert "garbage.pem: no certificate in PEM form" in str(found[1])


def test_the_data_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "data").touch()
    assert check(folder) == ["error mailwye.toml:2: data_directory: data is no directory. Name a directory."]
    (folder / "data").unlink()
    monkeypatch.setattr("os.access", lambda path, mode: False)
    (found,) = check(folder)
    assert found.startswith("warning mailwye.toml:2: data_directory: data cannot be made: ")
    (folder / "data").mkdir()
    assert check(folder) == [
        "error mailwye.toml:2: data_directory: data is not writable. Change its owner or mode, or name another directory."
    ]
