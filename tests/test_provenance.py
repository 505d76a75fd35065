"""The record of a run's data and computation: what is read back, and what is refused."""

import pytest

from vaecli.errors import VaecliError
from vaecli.provenance import DataRecord, Provenance


def test_what_is_no_provenance_is_refused():
    good = Provenance(DataRecord("0" * 64, "1" * 64, "/data"), "cpu", "bf16", 2, "2.15.0").to_json()
    assert Provenance.from_json(good).to_json() == good
    wrong = [None, [], {}, good | {"more": 1}, good | {"data": {}}, good | {"threads": True}, good | {"threads": 10**400}]
    wrong += [good | {"device": []}, good | {"precision": "auto"}, good | {"torch": "\n"}]
    wrong += [good | {"data": good["data"] | change} for change in ({"folder": "a\0b"}, {"folder": 3}, {"train": "x"}, {"test": 1})]
    for record in wrong:
        with pytest.raises(VaecliError, match="its provenance is not one that vaecli wrote"):
            Provenance.from_json(record)
