from __future__ import annotations

import pytest

from masksem_graph.cli.table import main
from masksem_graph.report.published import load_published


def test_no_column_is_cut_off_where_there_is_little_room(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    main(["--style", "I"])
    printed = capsys.readouterr().out
    published = [value for row in load_published().rows["linear"] for value in row.top1.values()]
    assert len(published) > 20
    assert all(f" {value:.1f} " in printed for value in published)
    heading = next(line for line in printed.splitlines() if "encoder" in line)
    assert "NTU-60" in heading and "NW-UCLA" in heading and "…" not in printed
