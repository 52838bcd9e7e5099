"""A tree's picture shows all of it, legibly, whatever its questions are called."""

import io
import re
from itertools import combinations, pairwise
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath
from PIL import Image

from zoobot.errors import CatalogError, OutputError, SchemaError, SettingError
from zoobot.shared import campaigns
from zoobot.shared.schema_boxes import ANSWER_SIZE, BOLD, text_width, wrap
from zoobot.shared.schema_drawings import draw, to_png, to_svg
from zoobot.shared.schema_layouts import lay_out
from zoobot.shared.schemas import Schema, get_schema

SMALL = Schema(
    {"smooth": ["_yes", "_no"], "bar": ["_strong", "_weak"], "merging": ["_a", "_b", "_c"], "odd": ["_yes"]},
    {"smooth": None, "bar": "smooth_no", "merging": ["smooth_yes", "bar_weak"], "odd": None},
    "small",
)
HOSTILE = Schema(
    {"<script>&\"'": ["_$x_1$", "_$\\frac$", "_]]>"], "日本 \x07\ud800": ["_é"]},
    {"<script>&\"'": None, "日本 \x07\ud800": None},
    "</svg>",
)
SVG = "{http://www.w3.org/2000/svg}"


def read_texts(svg):
    """All lines of text of a picture, one after the other, without spaces."""
    return "".join("".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(f"{SVG}text"))


def squeeze(text):
    return re.sub(r"\s", "", text)


@st.composite
def random_trees(draw):
    """Up to 9 questions, each asked of everybody or after any of 1 to 3 earlier answers; texts of any length."""
    pairs, dependencies, texts = {}, {}, {}
    for number in range(draw(st.integers(1, 9))):
        earlier = [question + answer for question, answers in pairs.items() for answer in answers]
        parents = draw(st.lists(st.sampled_from(earlier), max_size=3, unique=True)) if earlier else []
        question = f"q{number}" + "-long" * draw(st.integers(0, 12))
        pairs[question] = [f"_{answer}" for answer in range(draw(st.integers(1, 5)))]
        dependencies[question] = parents if is_sound(pairs, {**dependencies, question: parents}) else parents[:1]
        texts[question] = draw(st.text("ab W$-_", max_size=40))
        texts[question + "_0"] = draw(st.text("ab W$-_", max_size=40))
    return Schema(pairs, dependencies, display_text=texts)


def is_sound(pairs, dependencies):
    """Whether no two answers on one path lead to the same question."""
    try:
        return bool(Schema(pairs, dependencies))
    except SchemaError:
        return False


def overlap(a, b, gap=0.0):
    return (
        a.left < b.left + b.width + gap
        and b.left < a.left + a.width + gap
        and a.top < b.top + b.height + gap
        and b.top < a.top + a.height + gap
    )


def trace(way, steps=8):
    """`(point, xy)` along a way: straight and Bezier curves in turn."""
    t = np.linspace(0, 1, steps)[:, None]
    traced = []
    for step, (start, end) in enumerate(pairwise(np.array(way.points))):
        middle = (start[1] + end[1]) / 2
        first, last = np.array([start[0], middle]), np.array([end[0], middle])
        curve = (1 - t) ** 3 * start + 3 * (1 - t) ** 2 * t * first + 3 * (1 - t) * t**2 * last + t**3 * end
        traced.append(curve if step % 2 else start + t * (end - start))
    return np.concatenate(traced)


def check_layout(schema):
    layout = lay_out(schema)
    assert sorted(box.question.text for box in layout.boxes) == sorted(q.text for q in schema.questions)
    for box in layout.boxes:
        assert 0 < box.left < box.left + box.width < layout.width
        assert 0 < box.top < box.top + box.height < layout.height
        assert [cell.answer for cell in box.cells] == box.question.answers
        for a, b in pairwise(box.cells):
            assert a.left + a.width < b.left
        assert box.left < box.cells[0].left
        assert box.cells[-1].left + box.cells[-1].width < box.left + box.width
    assert not any(overlap(a, b, gap=15) for a, b in combinations(layout.boxes, 2))
    ways = {(way.answer.text, way.question.text) for way in layout.ways}
    assert ways == {(parent.text, q.text) for q in schema.questions for parent in q.asked_after}
    by_text = {box.question.text: box for box in layout.boxes}
    left, top, width, height = np.array([(box.left, box.top, box.width, box.height) for box in layout.boxes]).T
    for way in layout.ways:
        upper, lower = by_text[way.answer.question.text], by_text[way.question.text]
        cell = next(cell for cell in upper.cells if cell.answer is way.answer)
        assert way.points[0] == pytest.approx((cell.left + cell.width / 2, upper.top + upper.height))
        assert lower.left < way.points[-1][0] < lower.left + lower.width
        assert way.points[-1][1] == lower.top
        x, y = trace(way).T[:, :, None]
        assert ((x > 0) & (x < layout.width)).all()
        inside = (left < x) & (x < left + width) & (top + 1e-6 < y) & (y < top + height - 1e-6)
        assert not inside.any(), (way.answer.text, way.question.text)
    return layout


@pytest.mark.parametrize("name", [name for name in campaigns.trees if not name.endswith("-ortho")])
def test_published_trees_are_drawn_whole(name):
    schema = get_schema(name)
    check_layout(schema)
    texts = squeeze(read_texts(to_svg(schema)))
    for question in schema.questions:
        answers = "".join(answer.display_text for answer in question.answers)
        assert squeeze(question.display_text + question.text + answers) in texts


@settings(max_examples=15, deadline=None)
@given(random_trees())
def test_no_box_overlaps_or_is_cut_and_no_way_crosses_one(schema):
    check_layout(schema)
    ElementTree.fromstring(to_svg(schema))


def test_levels_follow_the_longest_way_and_parts_stand_apart():
    layout = check_layout(SMALL)
    boxes = {box.question.text: box for box in layout.boxes}
    assert {text: box.level for text, box in boxes.items()} == {"smooth": 0, "bar": 1, "merging": 2, "odd": 0}
    assert boxes["smooth"].top == boxes["odd"].top < boxes["bar"].top < boxes["merging"].top
    passing = next(way for way in layout.ways if way.answer.text == "smooth_yes")
    assert len(passing.points) == 5


MEETING = Schema(
    {"top": ["_a", "_b"], "x": ["_0"], "y": ["_0"], "meeting": ["_0"], "alone": ["_0"]},
    {"top": None, "x": "top_a", "y": "top_b", "meeting": ["x_0", "y_0"], "alone": "x_0"},
)


@pytest.mark.parametrize("schema", [*map(get_schema, ["gz2", "decals-dr5", "gz-evo-v2"]), MEETING], ids=repr)
def test_ways_never_cross_without_need(schema):
    """Between two levels, the ways end in the order in which they start."""
    ways = [way.points for way in lay_out(schema).ways]
    steps = sorted(step for points in ways for step in zip(points[1::2], points[2::2], strict=True))
    for (a, a_end), (b, b_end) in combinations(steps, 2):
        if a[1] == b[1] and a[0] < b[0]:
            assert a_end[0] <= b_end[0]


def test_campaigns_of_a_union_stand_below_each_other():
    union, one = (lay_out(get_schema(name)) for name in ("decals-all-campaigns-ortho", "decals-dr5-ortho"))
    assert union.width < 1.3 * one.width
    assert union.height > 2.5 * one.height


def test_votes_stand_at_each_answer_and_widen_its_ways():
    votes = [9000, 1000, 996, 4, 0, 0, 0, 12.5]
    svg = to_svg(SMALL, votes)
    texts = [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    for shown in (["9,000", "90%"], ["1,000", "10%"], ["996", "100%"], ["4", "<1%"], ["0", "–"], ["12.5", "100%"]):
        assert any(texts[place : place + 2] == shown for place in range(len(texts))), shown
    widths = [float(path.get("stroke-width")) for path in ElementTree.fromstring(svg).iter(f"{SVG}path")]
    assert widths == [11.7, 1.6, 1.6]  # 9000, 1000 and 4 of 10,000 votes: thickest at the back
    assert widths[0] == pytest.approx(13 * 0.9)


@pytest.mark.parametrize("votes", [[1, 2], np.ones((3, 8)), [1.0] * 7 + [np.nan], [1] * 7 + [-1]])
def test_votes_of_another_shape_are_refused(votes):
    with pytest.raises(CatalogError, match=r"votes must be 8 finite numbers.*'small'.*sum\(axis=0\)"):
        to_svg(SMALL, votes)


def test_texts_fit_where_they_stand():
    """Against the widths of the font that PNG pictures use."""
    texts, titles = {"1,234,567", "89%"}, set()
    for schema in map(get_schema, campaigns.trees):
        texts |= {shown for part in [*schema.questions, *schema.answers] for shown in (part.text, part.display_text)}
        titles |= {question.display_text for question in schema.questions}
    for shown, weight, room in ((texts, "normal", 1), (titles, "bold", BOLD)):
        font = FontProperties(family="DejaVu Sans", weight=weight, size=11)
        for text in shown:
            width = TextToPath().get_text_width_height_descent(text, font, ismath=False)[0]
            assert 0.7 * room * text_width(text, 11) < width <= room * text_width(text, 11), text


@given(st.text(max_size=60), st.floats(30, 200))
def test_wrapping_keeps_every_letter(text, width):
    lines = wrap(text, width, ANSWER_SIZE)
    kept = re.sub("[\0-\x08\x0e-\x1b\ufffe\uffff\ud800-\udfff]", "\ufffd", squeeze(text))
    assert squeeze("".join(lines)) == kept
    assert all(text_width(line, ANSWER_SIZE) <= width for line in lines)


def test_names_are_drawn_literally():
    svg = to_svg(HOSTILE)
    texts = read_texts(svg)
    for shown in ("<script>&\"'", "$x 1$", "$\\frac$", "]]>", "日本 \ufffd\ufffd", "é"):
        assert shown in texts
    root = ElementTree.fromstring(svg)
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {"svg", "title", "rect", "text"}
    assert root.find(f"{SVG}title").text == "</svg>"


def test_picture_stands_in_a_page():
    """No ids that could clash, nothing fetched, as wide as there is room for."""
    root = ElementTree.fromstring(to_svg(SMALL))
    attributes = [name for element in root.iter() for name in element.attrib]
    assert not {"id", "href", "class"} & set(attributes)
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    assert "width:100%" in root.get("style")


def test_png_is_the_same_picture(caplog):
    layout = lay_out(SMALL)
    with Image.open(io.BytesIO(to_png(SMALL))) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape == pytest.approx((2 * layout.height, 2 * layout.width, 3), abs=1)
    assert (pixels[:10] == 255).all()
    for box in layout.boxes:
        inside = pixels[round(2 * box.top) + 6, round(2 * (box.left + box.width / 2))]
        assert (inside != 255).any()
    assert not caplog.messages
    to_png(HOSTILE)
    assert caplog.messages == ["The PNG's font lacks some characters of '</svg>': draw it as .svg instead."]


def test_same_tree_gives_the_same_bytes(tmp_path):
    for name in ("a.svg", "a.png"):
        first = draw("rings", tmp_path / name).path.read_bytes()
        assert draw(get_schema("rings"), tmp_path / name).path.read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a.svg"]


def test_command_line_draws_a_schema_file_with_votes(zoobot, tmp_path):
    SMALL.to_yaml(tmp_path / "tree.yaml")
    votes = [[6, 4, 3, 0.5, 2, 2, 2, 6], [6, 6, 1, 2, 3, 2, 2, 6]]
    table = pd.DataFrame(votes, columns=SMALL.label_cols).assign(id_str=["a", "b"], file_loc=["a.png", "b.png"])
    table.to_csv(tmp_path / "catalog.csv", index=False)
    picture = tmp_path / "new" / "tree.SVG"
    result = zoobot(
        *("schema", "draw", tmp_path / "tree.yaml", "--output", picture, "--catalog", tmp_path / "catalog.csv")
    )
    assert result.code == 0
    assert result.out.strip() == f"Drew 'small' (4 questions, 8 answers) with the votes on 2 galaxies: {picture}"
    assert "weak2.538%" in read_texts(picture.read_text(encoding="utf-8"))


def test_mistakes_get_one_clear_message(tmp_path):
    with pytest.raises(SettingError, match=r"A drawing must end in .svg or .png. Got 'tree.pdf' instead"):
        draw("gz2", "tree.pdf")
    with pytest.raises(SchemaError, match="Did you mean 'gz2'"):
        draw("gz22", tmp_path / "tree.svg")
    (tmp_path / "tree.svg").mkdir()
    with pytest.raises(OutputError, match=r"tree.svg' is a folder. Give a file in it"):
        draw(SMALL, tmp_path / "tree.svg")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"The drawing '.*' cannot be written: "):
        draw(SMALL, tmp_path / "file" / "tree.svg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "tree.svg"]


def test_real_votes_are_drawn(shared_data, tmp_path):
    catalog = shared_data / "gz2" / "catalog.csv"
    svg = draw("gz2", tmp_path / "tree.svg", catalog).path.read_text(encoding="utf-8")
    for column in get_schema("gz2").label_cols:
        assert f">{pd.read_csv(catalog)[column].sum():,}<" in svg
