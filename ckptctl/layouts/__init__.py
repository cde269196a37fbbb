"""Every framework's layout, in the order in which they are tried: folders first, the particular before the general."""

from __future__ import annotations

from ckptctl.core.layout import Layout
from ckptctl.layouts import keras, lightning

LAYOUTS: tuple[Layout, ...] = (*lightning.LAYOUTS, *keras.LAYOUTS)
BY_NAME = {layout.name: layout for layout in LAYOUTS}
