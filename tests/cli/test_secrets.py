"""Passwords of URLs on the command line."""

import pytest

from vaecli.cli.secrets import masked


@pytest.mark.parametrize(
    ("url", "hidden"),
    [
        ("postgresql://me:sesame@host/db", "postgresql://me:******@host/db"),
        ("postgresql://me:p@ss:w/rd%41@host/db", "postgresql://me:************@host/db"),
        ("postgresql://me:p?#s@host/db", "postgresql://me:****@host/db"),
        ("postgresql://host/db?password=a/b&sslpassword=c", "postgresql://host/db?password=***&sslpassword=*"),
        ("mysql://me:sesame@host/db", "mysql://me:******@host/db"),
        ("postgresql://me@host:5432/db", "postgresql://me@host:5432/db"),
        ("sqlite:///a:b.db", "sqlite:///a:b.db"),
    ],
)
def test_a_password_of_any_letters_is_masked(url, hidden):
    assert masked(url.encode()) == hidden.encode()
