"""A figure over several seeds as a table's cell."""

from __future__ import annotations

from typing import Any


def figure(value: dict[str, Any]) -> str:
    """Mean over seeds, mean interval of the images, and the floor's adverse tail where there is one."""
    if value["mean"] is None:
        return f"– ({value['reason']})"
    ends = "" if value["low"] is None else f" [{value['low']:.3f}, {value['high']:.3f}]"
    floor = "" if value.get("noise_p95") is None else f" / {value['noise_p95']:.3f}"
    return f"{value['mean']:.3f}{ends}{floor}"
