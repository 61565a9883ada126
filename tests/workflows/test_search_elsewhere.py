"""A search whose ledger, images and files are on servers, and whose workers do not see its folder."""

from __future__ import annotations

import json
import tomllib

import pytest

from mindgap.core.errors import ConfigError, MindgapError, RunError
from mindgap.search.agenda import Target
from mindgap.search.ledger import Ledger
from mindgap.search.ledger_place import has_ledger, ledger_url
from mindgap.testing.s3_server import S3Server
from mindgap.testing.tiny_search import write_tiny_config
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.workflows.search import search, status
from mindgap.workflows.worker import worker


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_tiny_store(tmp_path_factory.mktemp("data") / "store")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return write_tiny_config(tmp_path_factory.mktemp("config"))


def found(record):
    names = ("slot", "tokens", "state", "reward", "accuracy", "unfairness", "epochs")
    return [{name: trial[name] for name in names} for trial in record["trials"]]


def test_a_worker_that_sees_neither_folder_nor_store_trains_and_the_driver_adopts_its_network(
    store, config, tmp_path, postgres, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    study, run = postgres.url("elsewhere", study="ham"), tmp_path / "run"
    secret = study.replace("mindgap@", "mindgap:not-asked-for@")
    with S3Server.start() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        for file in store.iterdir():
            server.objects[f"data/ham/{file.name}"] = file.read_bytes()
        options = {"out": run, "config": config, "study": secret, "artifacts": "s3://data/files"}
        first = search("s3://data/ham", trials=1, **options)
        assert not (run / "ledger.db").exists()
        assert has_ledger(run)
        assert ledger_url(run) == study
        assert not [path for path in run.rglob("*") if path.is_file() and b"not-asked-for" in path.read_bytes()]
        run.rename(tmp_path / "away")
        ledger = Ledger(study)
        ledger.note("target", Target(trials=3).model_dump())
        ledger.close()
        progress = worker(study=study, store=f"file://{store}")
        assert (progress["complete"], progress["state"]) == (
            3,
            "all candidates are done; the same command writes the report",
        )
        assert not list((tmp_path / "cache" / "mindgap" / "runs").iterdir())
        (tmp_path / "away").rename(run)
        assert status(run)["complete"] == 3
        again = search("s3://data/ham", trials=3, **options)
        assert not [key for key in server.objects if "checkpoint.pt" in key]
        assert {key.split("/")[3] for key in server.objects if "weights" in key} == {"0", "1", "2"}
    whole = search(store, out=tmp_path / "whole", config=config, trials=3)
    assert found(again) == found(whole)
    assert found(first) == found(whole)[:1]
    assert (run / "weights.safetensors").read_bytes() == (tmp_path / "whole" / "weights.safetensors").read_bytes()
    assert tomllib.loads((run / "config.toml").read_text())["options"]["store"] == "s3://data/ham"


@pytest.mark.slow
def test_another_search_of_the_same_name_is_refused_and_presets_have_their_own(store, config, tmp_path, postgres):
    study = postgres.url("names")
    record = search(store, out=tmp_path / "run", config=config, trials=1, study=study)
    with pytest.raises(RunError, match=r"holds another search of that name; give another, \?study=NAME"):
        search(store, out=tmp_path / "second", config=config, trials=1, study=study)
    assert search(store, out=tmp_path / "run", config=config, trials=1, study=study) == record
    several = search(store, out=tmp_path / "both", config=config, preset="fair,acc", trials=1, study=study)
    assert set(several["presets"]) == {"fair", "acc"}
    assert set(status(tmp_path / "both")) == {"fair", "acc"}
    assert ledger_url(tmp_path / "both" / "acc") == f"{study}?study=mindgap-acc"


def test_a_worker_that_sees_no_folder_and_is_given_no_place_for_files_is_refused(store, config, tmp_path, postgres):
    study, run = postgres.url("places"), tmp_path / "run"
    search(store, out=run, config=config, trials=1, study=study)
    run.rename(tmp_path / "away")
    with pytest.raises(RunError, match=r"run: the folder of the search is not on this machine; give --artifacts"):
        worker(study=study)
    run.mkdir()
    (run / "config.toml").write_text((tmp_path / "away" / "config.toml").read_text())
    with pytest.raises(RunError, match="is not on this machine"):
        worker(study=study)
    assert worker(study=study, artifacts=tmp_path / "away")["complete"] == 1
    assert worker(study=study, artifacts=f"file://{tmp_path}/files")["complete"] == 1
    with pytest.raises(ConfigError, match=r"artifacts is 's3://data', the search has its files in 'file://"):
        worker(study=study, artifacts="s3://data")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"study": "sqlite:////tmp/x.db"}, "the file of a ledger is always in --out, so leave --study out"),
        ({"study": "mysql://host/db"}, "study is 'mysql://host/db'; give"),
        ({"artifacts": "somewhere"}, "artifacts is 'somewhere'; give file:///FOLDER or s3://BUCKET/PREFIX"),
        ({"placement": "slurm"}, "put the ledger on a server"),
        ({"placement": "rya"}, "did you mean 'ray'"),
        ({"gpus_per_worker": 0.5}, "this machine has no GPU that can be seen; leave it out"),
        ({"placement_options": {"partition": "x"}}, "unknown key 'partition'"),
    ],
)
def test_what_cannot_work_is_one_line_and_leaves_no_folder(store, config, tmp_path, monkeypatch, options, message):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(MindgapError, match=message) as raised:
        search(store, out=tmp_path / "run", config=config, trials=1, **options)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_a_server_that_is_not_there_is_one_line_and_the_same_command_goes_on_later(store, config, tmp_path):
    with pytest.raises(MindgapError) as raised:
        search(store, out=tmp_path / "run", config=config, trials=1, study="postgresql://ana:secret@127.0.0.1:1/ham")
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)
    assert json.loads((tmp_path / "run" / "provenance.json").read_text()).get("ledger_made") is None
