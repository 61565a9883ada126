"""The images of a plan, as a worker opens them."""

from __future__ import annotations

from mindgap.core.errors import RunError
from mindgap.data.image_store import Store
from mindgap.data.store_cache import local_store


def planned_store(place: str, *, fingerprint: str, what: str) -> Store:
    """Opens a store, copied to this machine if need be.

    Args:
        place: folder or address.
        fingerprint: that the plan was made with.
        what: began with it, such as ``search``.

    Raises:
        RunError: it holds other data now.
    """
    store = Store.open(local_store(place, fingerprint=fingerprint))
    if store.fingerprint != fingerprint:
        raise RunError(
            f"{place}: has fingerprint {store.fingerprint}, the {what} began with {fingerprint}; restore the store or "
            f"begin a new {what}"
        )
    return store
