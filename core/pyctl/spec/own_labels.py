"""Labels that only pyctl has, in a module that costs ``ps`` nothing; what begins with the prefix is never shown."""

from __future__ import annotations

OWN_PREFIX = "pyctl/"
IMAGE_LABEL = "pyctl/image"  # what the user typed, where that is not what the image's name looks like
