"""The network of a finished run, with what is needed to use it on other images."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgap.core.config import parse, read_toml
from mindgap.core.errors import ConfigError, DataError, RunError
from mindgap.core.files import read_json
from mindgap.core.run import finished_time
from mindgap.data.classifier_facts import ClassifierFacts
from mindgap.data.image_store import Store, StoreInfo
from mindgap.space.architecture import WEIGHTS_FILE, Architecture, load_network
from mindgap.space.network import Network
from mindgap.train.kept_mitigation import MITIGATION_FILE, KeptMitigation, read_mitigation
from mindgap.train.mitigation import MITIGATIONS
from mindgap.train.modes import MODES, Mode
from mindgap.train.precision import FP32
from mindgap.train.settings import TrainSettings


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """What a run trained, or a search chose.

    Attributes:
        path: the run folder.
        architecture: the network as data.
        network: with its trained weights, on the CPU, in evaluation mode.
        info: what the run's store was when the run began.
        options: of the run, from its ``config.toml``.
        recorded_modes: what ``provenance.json`` says on how the network's parts were computed; None if nothing.
        kept: the mitigation that the network is used with; None if it is used alone.
        trained_with: what ``provenance.json`` says on the training of a search's chosen network; None of a single run.
    """

    path: Path
    architecture: Architecture
    network: Network
    info: StoreInfo
    options: Mapping[str, Any]
    recorded_modes: Any
    kept: KeptMitigation | None = None
    trained_with: Mapping[str, Any] | None = None

    @property
    def is_pruned(self) -> bool:
        """Whether the run removed channels of another run's network."""
        return (self.path / "prune.json").is_file()

    @property
    def settings(self) -> TrainSettings:
        """How the network was trained.

        Raises:
            ConfigError: the run does not say.
        """
        told = self.options if self.trained_with is None else self.trained_with
        fields = {name: told[name] for name in TrainSettings.model_fields if name in told}
        if "epochs" not in fields or ("preset" in self.options and self.trained_with is None):
            raise ConfigError(
                f"{self.path}: does not say how its network was trained; run the search again with --force"
            )
        return parse(TrainSettings, fields, source=f"{self.path}: training")

    @property
    def facts(self) -> ClassifierFacts:
        """Which images the network takes, and what its outputs mean."""
        chosen = self.architecture
        return ClassifierFacts(
            architecture=chosen.name,
            classes=self.info.classes,
            task=self.info.task,
            input_px=self.info.size_px,
            resize=self.info.resize,
            constancy=self.info.constancy,
            mean=chosen.mean,
            std=chosen.std,
        )

    def without_groups(self) -> Network:
        """The network that predicts alone, without any image's group."""
        return self.network if self.kept is None else self.kept.mitigation.without_groups(self.network).eval()

    @property
    def attribute(self) -> str:
        """The attribute that drove the run."""
        return str(self.options.get("attribute") or self.info.default_attribute)

    @property
    def modes(self) -> tuple[Mode, ...]:
        """How each part was computed in the run, as its figures were; float32 where it does not say.

        Raises:
            DataError: what it says does not fit the network.
        """
        found, count = self.recorded_modes, len(self.architecture.blocks) + 2
        if found is None:
            return FP32.modes(self.architecture)
        if not isinstance(found, list) or len(found) != count or any(mode not in MODES for mode in found):
            raise DataError(
                f"{self.path / 'provenance.json'}: modes is {str(found)[:60]!r}, not one of {', '.join(MODES)} for "
                f"each of {count} parts; give --precision fp32, or run it again"
            )
        return tuple(found)

    def open_store(self) -> Store:
        """The store that the run was trained on.

        Raises:
            DataError: it is not where it was, or holds other data now.
        """
        path = self.options.get("store")
        if not isinstance(path, str) or not Path(path).is_dir():
            raise DataError(f"{self.path}: its store {path} is not there any more; put it back, or prepare it again")
        store = Store.open(path)
        if store.fingerprint != self.info.fingerprint:
            raise DataError(
                f"{path}: holds other data than when {self.path} was trained (fingerprint {store.fingerprint}, "
                f"was {self.info.fingerprint}); prepare it as it was"
            )
        return store


def weights_sha256(run: Path) -> str:
    """The SHA-256 digest of a run's file of weights, 64 hexadecimal digits."""
    with (run / WEIGHTS_FILE).open("rb") as weights:
        return hashlib.file_digest(weights, "sha256").hexdigest()


def weights_digest(run: Path) -> str:
    """The first half of that digest."""
    return weights_sha256(run)[:32]


def read_trained_model(run: Path | str) -> TrainedModel:
    """Reads a finished run of ``train`` or ``search``.

    Raises:
        RunError: the folder holds no finished run with a network, or one that cannot be used without its training.
        DataError: a file of it is damaged.
    """
    folder = Path(run)
    if not (folder / "config.toml").is_file():
        raise RunError(f"{folder}: holds no mindgap run (no config.toml); give the folder named by --out")
    options = read_toml(folder / "config.toml").get("options", {})
    if finished_time(folder) is None:
        raise RunError(f"{folder}: is not finished; run the same command as before to its end first")
    _refuse_without_network(folder)
    provenance = read_json(folder / "provenance.json")
    info = _store_info(folder, provenance)
    kept = read_mitigation(folder, task=info.task, num_classes=len(info.classes))
    if kept is None:
        _refuse_mitigation(folder, options)
    architecture, network = load_network(folder, adapt=None if kept is None else kept.mitigation.adapt)
    if architecture.num_classes != len(info.classes) or architecture.input_px != info.size_px:
        raise DataError(
            f"{folder}: the network has {architecture.num_classes} classes and {architecture.input_px} px, the store "
            f"{len(info.classes)} and {info.size_px}; the run's files are of different runs"
        )
    return TrainedModel(
        folder,
        architecture,
        network.eval(),
        info,
        options,
        provenance.get("modes"),
        kept,
        provenance.get("trained_with"),
    )


def _refuse_without_network(folder: Path) -> None:
    if (folder / WEIGHTS_FILE).is_file():
        return
    presets = read_json(folder / "search.json").get("presets") if (folder / "search.json").is_file() else None
    if presets:
        raise RunError(f"{folder}: holds a run per preset ({', '.join(presets)}); name one of its folders")
    if (folder / "folds").is_dir():
        raise RunError(f"{folder}: has a network per fold and none of its own; train without --folds")
    raise RunError(f"{folder}: has no {WEIGHTS_FILE}; name a run of train or search")


def _refuse_mitigation(folder: Path, options: Mapping[str, Any]) -> None:
    """Refuses a run whose predictions take more than what it kept."""
    name = options.get("mitigation")
    if isinstance(name, str) and not MITIGATIONS.get(name).predicts_by_network_alone():
        raise RunError(
            f"{folder}: the mitigation {name!r} predicts by more than the network, which the run did not keep (no "
            f"{MITIGATION_FILE}); take its predictions.parquet, or run it again"
        )


def _store_info(folder: Path, provenance: Mapping[str, Any]) -> StoreInfo:
    summary = provenance.get("store_summary")
    if not isinstance(summary, dict):
        raise RunError(f"{folder}: does not say which classes its store had (provenance.json); run it again")
    try:
        return parse(StoreInfo, summary, source=f"{folder / 'provenance.json'}: store_summary")
    except ConfigError as error:
        raise DataError(f"{error}; run it again") from None
