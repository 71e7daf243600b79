"""docs/smtp-states.md is drawn from the table that the machine runs on. To renew it, write what `page` returns."""

from __future__ import annotations

from pathlib import Path

from mailwye.smtp.server_table import draw

PAGE = Path(__file__).resolve().parents[2] / "docs" / "smtp-states.md"


def page() -> str:
    """The whole file."""
    return (
        "# States of the receiving side\n\n"
        "Drawn from `src/mailwye/smtp/server_table.py`; `tests/tidy/test_smtp_states.py` compares them. In a state\n"
        "only the inputs that have a row are legal, and the next state is entered when they succeed. Any other verb\n"
        "is answered 503 5.5.1.\n\n" + draw()
    )


def test_the_page_is_the_table() -> None:
    assert PAGE.read_text() == page()
