"""Stretches: brightness of any range to grey values of 0 to 255. astropy.visualization does the work.

    linear        from `value_range`, or from the darkest to the brightest pixel
    percentile    from one percentile of the image to another
    zscale        between the limits that IRAF's zscale finds
    asinh         as linear, compressed towards the bright end (Lupton, Gunn & Szalay 1999, AJ 118, 1406)
    lupton        three bands to one RGB image, faint and bright parts in their true colour
                  (Lupton et al. 2004, PASP 116, 133)

All but lupton stretch each band by itself. Bands go from blue to red; lupton shows the last one as red.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from zoobot.config import ImageSettings
from zoobot.errors import ImageError

FloatImage = npt.NDArray[np.float32]

_ASINH_SOFTENING, _LUPTON_Q = 0.02, 8.0


def stretch(bands: FloatImage, reading: ImageSettings) -> npt.NDArray[np.uint8]:
    """Finite brightness `(height, width, band)` to grey values of that shape; under lupton always to three channels.

    Raises:
        ImageError: lupton without exactly three bands.
    """
    from astropy import visualization

    if reading.stretch == "lupton":
        return _lupton(bands, reading)
    curve: Any = visualization.LinearStretch()
    if reading.stretch == "asinh":
        curve = visualization.AsinhStretch(reading.softening or _ASINH_SOFTENING)
    interval = _interval(reading)
    grey = np.empty(bands.shape, np.uint8)
    for channel in range(bands.shape[2]):
        band = bands[:, :, channel].astype(np.float64)
        low, high = interval.get_limits(band)
        # a constant band has no range: all of it is black
        scaled = np.clip((band - low) / (high - low), 0, 1) if high > low else np.zeros_like(band)
        grey[:, :, channel] = np.rint(curve(scaled) * 255)
    return grey


def _interval(reading: ImageSettings) -> Any:
    from astropy import visualization

    if reading.stretch == "percentile":
        return visualization.AsymmetricPercentileInterval(*reading.percentiles)
    if reading.stretch == "zscale":
        return visualization.ZScaleInterval(contrast=reading.contrast)
    if reading.value_range:
        return visualization.ManualInterval(*reading.value_range)
    return visualization.MinMaxInterval()


def _lupton(bands: FloatImage, reading: ImageSettings) -> npt.NDArray[np.uint8]:
    from astropy import visualization

    if bands.shape[2] != 3:
        raise ImageError(f"The stretch lupton needs three bands, blue to red. This image has {bands.shape[2]}.")
    low, width = reading.lupton_range
    blue, green, red = np.moveaxis(bands.astype(np.float64), 2, 0)
    with np.errstate(divide="ignore", invalid="ignore"):  # where the mean of the bands is black
        image: npt.NDArray[np.uint8] = visualization.make_lupton_rgb(
            red,
            green,
            blue,
            interval=visualization.ManualInterval(vmin=low),
            stretch=width,
            Q=reading.softening or _LUPTON_Q,
        )
    return image
