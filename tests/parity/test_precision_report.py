"""The report for PaddleMIX's reviewers, on small networks, and what its command refuses."""

from __future__ import annotations

import re

import pytest

from contrib.paddlemix import precision_report
from ppaudioldm import framework

if framework.NAME != "paddle":
    pytest.skip("the report is of Paddle", allow_module_level=True)


def test_every_network_meets_the_limit_in_fp32(tmp_path, capsys):
    assert precision_report.main(["-o", str(tmp_path / "report.md"), "--no-bf16"]) == 0
    rows = re.findall(r"^\| (\S.*?) \| \w+ \| fp32 \| (\S+) .* \| yes \|$", (tmp_path / "report.md").read_text(), re.M)
    assert [network for network, _ in rows] == [case.network for case in precision_report.CASES]
    assert all(0 < float(error) < 1e-5 for _, error in rows)


def test_a_network_that_differs_is_reported():
    case, one = precision_report.CASES[1], precision_report.noise(0, 2, 3)
    assert precision_report.compare(case, "fp32", one, one).is_met
    row = precision_report.compare(case, "fp32", one * 1.001, one)
    assert not row.is_met and row.error == pytest.approx(1e-3, rel=1e-3)
    assert "| no |" in precision_report.report([row], "x")
    assert not precision_report.compare(case, "fp32", one[:1], one).is_met


def test_what_is_no_diffusers_folder(tmp_path, capsys):
    assert precision_report.main(["-o", str(tmp_path / "report.md"), "--checkpoint", str(tmp_path)]) == 2
    assert "has no model_index.json" in capsys.readouterr().err and not list(tmp_path.iterdir())
