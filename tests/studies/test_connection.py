"""The connection to a study: which errors are tried again, and how a search of the same name differs."""

import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from vaecli.studies.storage import address_of, unreachable
from vaecli.studies.trial_queue import difference


@pytest.mark.parametrize(
    ("words", "again"),
    [("database is locked", True), ("database or disk is full", False), ("attempt to write a readonly database", False)],
)
def test_a_file_is_tried_again_only_while_another_process_has_it(words, again):
    assert unreachable(OperationalError("INSERT", {}, sqlite3.OperationalError(words))) is again


def test_a_password_is_in_nothing_that_is_shown():
    address = address_of("postgresql://me:p%40ss%3Aw%2Frd%2541@host/db?sslpassword=other")
    assert address.secrets == {"password": "p@ss:w/rd%41", "sslpassword": "other"}
    assert address.url == "postgresql+psycopg://me:***@host/db"
    assert not any(secret in repr(address) for secret in ("p@ss", "p%40ss", "other"))
    assert address.censored("no p@ss:w/rd%41, no other") == "no ***, no ***"


def test_the_first_difference_is_named():
    assert difference({"by": "elbo"}, {"by": "L_50"}) == "by elbo, not L_50"
    assert difference({"by": "elbo", "data": "1"}, {"by": "elbo"}) == "other images"
