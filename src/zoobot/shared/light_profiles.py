"""How the light of galaxies falls off from their centres."""

import math

import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]


def sersic_profile(radii: FloatImage, half_light_radius: float, index: float) -> FloatImage:
    """Surface brightness of total light 1: I_e exp(-b ((r / r_e)^(1/n) - 1)) (Sersic 1963, BAAA 6, 41).

    b = 2n - 1/3 + 4/(405n) + 46/(25515n^2) (Ciotti & Bertin 1999, A&A 352, 447); the light of a circular
    profile is 2 pi n r_e^2 I_e e^b b^(-2n) Gamma(2n).
    """
    b = 2 * index - 1 / 3 + 4 / (405 * index) + 46 / (25515 * index**2)
    total = 2 * math.pi * index * half_light_radius**2 * math.exp(b) * b ** (-2 * index) * math.gamma(2 * index)
    return np.asarray(np.exp(-b * ((radii / half_light_radius) ** (1 / index) - 1)) / total)
