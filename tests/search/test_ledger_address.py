from __future__ import annotations

import doctest
import threading

import pytest

import mindgap.search.ledger_address
from mindgap.core.errors import ConfigError, RunError
from mindgap.search.ledger import Ledger, create_ledger
from mindgap.search.ledger_address import LedgerAddress, masked


@pytest.mark.parametrize(
    ("url", "database", "study"),
    [
        ("postgres://db/ham", "postgresql+psycopg://db/ham", "mindgap"),
        ("postgresql+psycopg://a:b@db:5/ham?study=one", "postgresql+psycopg://a:b@db:5/ham", "one"),
        ("postgresql://db/ham?sslmode=require&study=a%20b", "postgresql+psycopg://db/ham?sslmode=require", "a b"),
        ("postgresql://a:b?c@db/ham?study=one", "postgresql+psycopg://a:b?c@db/ham", "one"),
        ("sqlite:///x/ledger.db", "sqlite:///x/ledger.db", "mindgap"),
    ],
)
def test_the_name_of_the_search_is_taken_out_of_the_address(url, database, study):
    address = LedgerAddress.parse(url)
    assert (address.database, address.study) == (database, study)


@pytest.mark.parametrize(
    "url", ["mysql://a:secret@db/x", "runs/ham", "postgresql://a:secret@db/x?study=", "postgresql://db?study=1&study=2"]
)
def test_another_address_is_refused_in_one_line_without_its_password(url):
    with pytest.raises(ConfigError) as error:
        LedgerAddress.parse(url)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)
    assert "study" in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://ana:secret@db/x",
        "postgresql+psycopg://ana:secret@db/x?study=first",
        "postgresql+psycopg://ana:se@secret/cr?secret@db/x",
        "postgresql://db/x?password=secret&sslpassword=secret&user=ana",
        "postgresql://db/x?pass%77ord=secret",
    ],
)
def test_no_password_is_shown(url):
    address = LedgerAddress.parse(url)
    assert "secret" not in address.shown
    assert "secret" not in repr(address)
    assert "secret" not in masked(url)
    assert "secret" in address.database


def test_its_examples_hold():
    assert doctest.testmod(mindgap.search.ledger_address).failed == 0


def test_an_error_of_the_server_does_not_show_the_password():
    with pytest.raises(RunError, match=r"ana:\*\*\*@127.0.0.1:1/x: the server cannot be reached") as error:
        Ledger("postgresql://ana:secret@127.0.0.1:1/x", patience_s=0.2)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_several_searches_share_one_database(postgres):
    first, second = postgres.url("shared", study="first"), postgres.url("shared", study="second")
    assert create_ledger(first, {"plan": 1})
    assert create_ledger(second, {"plan": 2})
    assert not create_ledger(second, {"plan": 3}), "it is there and left alone"
    ledgers = [Ledger(first), Ledger(second)]
    assert [ledger.notes() for ledger in ledgers] == [{"plan": 1}, {"plan": 2}]
    for ledger in ledgers:
        ledger.close()


def test_of_many_who_make_the_first_search_of_a_new_database_one_does(postgres):
    url, made = postgres.url("fresh", study="one"), []
    threads = [threading.Thread(target=lambda: made.append(create_ledger(url, {"plan": 1}))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False] * 5 + [True]


def test_a_name_that_is_not_there_is_one_line(postgres):
    create_ledger(postgres.url("shared", study="there"), {})
    with pytest.raises(RunError, match="holds no search named 'elsewhere'"):
        Ledger(postgres.url("shared", study="elsewhere"))


def test_a_database_without_tables_is_one_line(postgres):
    with pytest.raises(RunError, match="holds no search"):
        Ledger(postgres.url("empty"))
