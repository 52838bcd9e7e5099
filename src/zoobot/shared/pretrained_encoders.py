"""An encoder that has learned already, of any framework, with what it expects of images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from zoobot.config import EmbedSettings, LearnSettings
from zoobot.errors import SettingError

SettingsOfImages = TypeVar("SettingsOfImages", bound=LearnSettings | EmbedSettings)


@dataclass(frozen=True)
class PretrainedEncoder:
    """An encoder, and what it expects of images.

    Args:
        module: images, float in 0-1, to features `(galaxy, feature)`. Images are `(galaxy, channel, height, width)` in
            PyTorch, `(galaxy, height, width, channel)` in Keras.
        source: what to call it in messages.
        channels: of its images; None where its weights do not tell.
        recipe: how its framework builds it again; None for your own.
        expects: settings that images must have; others are refused.
        suggests: settings that are taken where nothing else is given.
        bands: names of its channels, where each had a file of its own.
    """

    module: Any
    source: str
    channels: int | None
    recipe: Any = None
    expects: Mapping[str, Any] = field(default_factory=dict)
    suggests: Mapping[str, Any] = field(default_factory=dict)
    bands: list[str] = field(default_factory=list)

    def adapt(self, settings: SettingsOfImages) -> SettingsOfImages:
        """The settings with what this encoder expects; `SettingError` where something else was given."""
        given = settings.model_fields_set
        suggested = {name: value for name, value in self.suggests.items() if name in type(settings).model_fields}
        free = {name: value for name, value in suggested.items() if name not in given}
        adapted = type(settings)(**{**settings.model_dump(), **free, **self.expects})
        for name in sorted(given & set(self.expects)):
            if getattr(settings, name) != getattr(adapted, name):
                raise SettingError(
                    f"The encoder '{self.source}' expects images with {name} {getattr(adapted, name)}, and "
                    f"{getattr(settings, name)} was given. Leave out --{name.replace('_', '-')}, or choose an encoder "
                    "that was made for such images."
                )
        return adapted

    def refuse_other_channels(self, channels: int, source: str) -> None:
        """Raise `SettingError` unless images have this encoder's number of channels."""
        if self.channels is not None and channels != self.channels:
            raise SettingError(
                f"The encoder '{self.source}' takes {_say_channels(self.channels)}; those of {source} have {channels}. "
                f"{_remedy(self.channels)}"
            )

    def refuse_other_bands(self, bands: Sequence[str], source: str) -> None:
        """Raise `SettingError` unless a catalog's bands, each with a file of its own, are this encoder's."""
        if self.bands and list(bands) != self.bands:
            raise SettingError(
                f"The encoder '{self.source}' was trained on the bands {', '.join(self.bands)}, in this order; "
                f"{source} has {', '.join(bands) or 'one file'}. Order its columns file_loc_... so."
            )

    def refuse_other_images(
        self, shape: Sequence[int], axes: Sequence[str], bounds: tuple[float, float], any_size: bool = False
    ) -> None:
        """Raise `SettingError` unless a batch has this encoder's channels and size, and lies from 0 to 1.

        Args:
            shape: of the batch.
            axes: what its axes are: `galaxy`, `channel`, `height` and `width`, in the order of the framework.
            bounds: smallest and largest value; 0 and 1 for uint8.
            any_size: views are yet to be cut out of the images.
        """
        if len(shape) != 4:
            raise SettingError(f"Images must be ({', '.join(axes)}). Got {tuple(shape)} instead.")
        sizes = dict(zip(axes, shape, strict=True))
        self.refuse_other_channels(sizes["channel"], "this batch")
        size = None if any_size else self.expects.get("image_size")
        if size is not None and (sizes["height"], sizes["width"]) != (size, size):
            raise SettingError(
                f"The encoder '{self.source}' expects images of {size} x {size} pixels. Got {sizes['height']} x "
                f"{sizes['width']} instead: resize them."
            )
        if not 0 <= bounds[0] <= bounds[1] <= 1:
            raise SettingError(
                f"The encoder '{self.source}' expects uint8 images, or float ones from 0 to 1. Got {bounds[0]:g} to "
                f"{bounds[1]:g} instead: divide by 255, and leave out any other normalisation."
            )


def _say_channels(channels: int) -> str:
    return "greyscale images of 1 channel" if channels == 1 else f"images of {channels} channels"


def _remedy(channels: int) -> str:
    if channels == 1:
        return "Leave out --color, or prepare the images without it."
    return "Give --color, with images of so many colours or bands." if channels == 3 else "Give images of these bands."
