"""The record of a run's data and computation: what is read back, and what is refused."""

import json
from dataclasses import replace

import pytest

from vaecli.errors import VaecliError
from vaecli.provenance import DataRecord, Origin, Provenance


def test_what_is_no_provenance_is_refused():
    good = Provenance(DataRecord("0" * 64, "1" * 64, "/data"), "cpu", "bf16", 2, "2.15.0").to_json()
    assert Provenance.from_json(good).to_json() == good
    wrong = [None, [], {}, good | {"more": 1}, good | {"data": {}}, good | {"threads": True}, good | {"threads": 10**400}]
    wrong += [good | {"device": []}, good | {"precision": "auto"}, good | {"torch": "\n"}]
    wrong += [good | {"data": good["data"] | change} for change in ({"folder": "a\0b"}, {"folder": 3}, {"train": "x"}, {"test": 1})]
    for record in wrong:
        with pytest.raises(VaecliError, match="its provenance is not one that vaecli wrote"):
            Provenance.from_json(record)


def test_the_run_that_another_began_with_is_optional_and_checked():
    plain = Provenance(DataRecord("0" * 64, "1" * 64), "cpu", "fp32", 1, "2.15.0")
    assert "started_from" not in plain.to_json()
    begun = replace(plain, started_from=Origin("/runs/first/model.safetensors", "2" * 64, 5))
    good = begun.to_json()
    assert Provenance.from_json(json.loads(json.dumps(good))) == begun
    assert (begun.started_from.name, begun.started_from.folder) == ("first", "/runs/first")
    origin = good["started_from"]
    wrong = [None, [], "x", {}, origin | {"more": 1}]
    wrong += [origin | change for change in ({"file": ""}, {"file": 3}, {"file": "a\0"}, {"file": "a" * 5000})]
    wrong += [origin | change for change in ({"sha256": "x"}, {"epochs": True}, {"epochs": -1}, {"epochs": 10**6}, {"epochs": 1.5})]
    for value in wrong:
        with pytest.raises(VaecliError, match="its provenance is not one that vaecli wrote"):
            Provenance.from_json(good | {"started_from": value})
