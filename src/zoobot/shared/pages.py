"""Self-contained HTML pages: templates, and figures and images as data inside them."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

import jinja2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def render_page(template: str, **content: Any) -> str:
    """Fill a template of `zoobot/shared/templates`; every text is escaped unless it is `markupsafe.Markup`."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("zoobot.shared"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template(template).render(**content)


def new_figure(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> "Figure":
    """A figure of so many inches, of its own: no pyplot, no global state, no window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


@contextmanager
def literal_text() -> Iterator[None]:
    """Texts of figures that are made meanwhile stand as they are: a question's name may hold `$`."""
    import matplotlib

    with matplotlib.rc_context({"text.parse_math": False}):
        yield


def figure_as_data(figure: "Figure") -> str:
    """A figure as the data address of a PNG."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return as_data("image/png", buffer.getvalue())


def as_data(media_type: str, content: bytes) -> str:
    """Bytes as a data address."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def image_as_data(image: npt.NDArray[Any]) -> str:
    """An image, uint8 `(height, width, 1 or 3)`, as the data address of a JPEG."""
    import cv2

    encoded = cv2.imencode(".jpg", np.ascontiguousarray(image[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return as_data("image/jpeg", encoded.tobytes())
