"""Simulated galaxies look as their parameters say; simulated volunteers vote as tree and truth say."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from zoobot.errors import SettingError
from zoobot.shared import campaigns, schemas, simulation
from zoobot.shared.light_profiles import sersic_profile
from zoobot.shared.simulated_galaxies import apparent_axis_ratio

TREES = ["decals", "gz2", "gz2-ortho", "decals-dr12-ortho", "decals-dr5-ortho", "desi", "hubble-v2-ortho"]


def make_galaxy(**changes):
    """A bright, settled, face-on disc, well resolved and alone; `changes` make it something else."""
    plain = simulation.draw_galaxies(1, seed=0).iloc[0].to_dict()
    settled = {"centre_x": 0.0, "centre_y": 0.0, "radius": 0.1, "brightness": 60.0, "psf_fwhm": 0.01}
    settled |= {"bulge_fraction": 0.0, "bulge_boxiness": 0.0, "inclination": 0.0, "disc_thickness": 0.1}
    settled |= {"arm_number": 0, "arm_strength": 0.0, "flocculence": 0.0, "dust_lane": 0.0}
    settled |= {"bar_strength": 0.0, "bar_length": 0.4, "disturbance": 0.0, "companion_flux": 0.0}
    settled |= {"field_density": 0.0, "artifact": "none", "artifact_strength": 0.0}
    return simulation.Galaxy(**{**plain, **settled, **changes})


def make_elliptical(**changes):
    return make_galaxy(**{"bulge_fraction": 1.0, "bulge_radius": 1.0, "bulge_index": 2.0, **changes})


def render_light(galaxy, image_size=128):
    """The image in linear light, (height, width), sky taken away: the inverse of the documented stretch."""
    grey = simulation.render_galaxy(galaxy, image_size).astype(float).mean(axis=2) / 255
    light = 4 * np.sinh(grey * np.arcsinh(900 / 4))
    return light - np.median(np.concatenate([light[:8].ravel(), light[-8:].ravel()]))


def measure_axis_ratio_and_angle(galaxy, above=0.04):
    """Second moments of the pixels above that share of the brightest, so that noise does not count."""
    light = render_light(galaxy)
    rows, columns = np.nonzero(light > above * light.max())
    covariance = np.cov(np.stack([columns, rows]))
    (small, large), vectors = np.linalg.eigh(covariance)
    return np.sqrt(small / large), np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])) % 180


# --- galaxies ---


def test_row_follows_from_seed_and_index_alone():
    few = simulation.draw_galaxies(20, seed=3)
    pd.testing.assert_frame_equal(simulation.draw_galaxies(60, seed=3).head(20), few)
    assert not simulation.draw_galaxies(20, seed=4)["radius"].eq(few["radius"]).any()
    assert list(few.columns) == list(simulation.Galaxy._fields)


def test_same_row_gives_the_same_picture_in_whatever_form_it_comes():
    galaxies = simulation.draw_galaxies(3, seed=1)
    picture = simulation.render_galaxy(galaxies.iloc[2], 64)
    assert picture.shape == (64, 64, 3)
    assert picture.dtype == np.uint8
    for row in (list(galaxies.itertuples(index=False))[2], galaxies.iloc[2].to_dict()):
        np.testing.assert_array_equal(simulation.render_galaxy(row, 64), picture)


def test_every_drawn_galaxy_is_inside_its_documented_range():
    galaxies = simulation.draw_galaxies(300, seed=5)
    ranges = {
        "radius": (0.06, 0.16),
        "brightness": (1.2, 40),
        "bulge_fraction": (0, 1),
        "inclination": (0, 90),
    }
    ranges |= {"arm_number": (0, 6), "arm_pitch": (7, 40), "disturbance": (0, 1), "companion_flux": (0, 1)}
    ranges |= {"bulge_radius": (0.1, 1), "bulge_index": (0.8, 5), "psf_fwhm": (0.012, 0.028)}
    for name, (low, high) in ranges.items():
        assert galaxies[name].between(low, high).all(), name


@pytest.mark.parametrize("index", [0.8, 1.0, 2.5, 5.0])
def test_sersic_profile_has_light_1_and_half_of_it_inside_the_half_light_radius(index):
    def ring(radius):
        return 2 * np.pi * radius * float(sersic_profile(np.asarray(radius), 0.3, index))

    inside = integrate.quad(ring, 0, 0.3)[0]
    outside = integrate.quad(ring, 0.3, 3)[0] + integrate.quad(ring, 3, 300, limit=200)[0]
    assert inside == pytest.approx(0.5, abs=2e-3)
    assert inside + outside == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("axis_ratio", [0.95, 0.7, 0.4])
@pytest.mark.parametrize("angle", [20, 110])
def test_elliptical_has_its_axis_ratio_and_its_direction(axis_ratio, angle):
    measured, direction = measure_axis_ratio_and_angle(
        make_elliptical(bulge_axis_ratio=axis_ratio, position_angle=angle)
    )
    assert measured == pytest.approx(axis_ratio, abs=0.06)
    if axis_ratio < 0.9:
        assert direction == pytest.approx(angle, abs=4)


@pytest.mark.parametrize("inclination", [0, 45, 65])
def test_inclined_disc_has_the_axis_ratio_of_its_inclination(inclination):
    measured, _ = measure_axis_ratio_and_angle(make_galaxy(inclination=inclination))
    assert measured == pytest.approx(float(apparent_axis_ratio(inclination, 0.1)), abs=0.05)


def test_edge_on_disc_is_thin():
    assert measure_axis_ratio_and_angle(make_galaxy(inclination=89.0))[0] < 0.2


@pytest.mark.parametrize("arm_number", [2, 3, 4])
def test_arms_can_be_counted_around_a_circle(arm_number):
    light = render_light(
        make_galaxy(arm_number=arm_number, arm_strength=0.8, arm_pitch=25.0, radius=0.12, brightness=40.0)
    )
    radii, angles = np.linspace(0.8, 1.8, 12) * 0.12 * 128, np.arange(128) / 128 * 2 * np.pi
    columns = 63.5 + radii[:, None] * np.cos(angles)
    rows = 63.5 + radii[:, None] * np.sin(angles)
    polar = cv2.remap(light.astype(np.float32), columns.astype(np.float32), rows.astype(np.float32), cv2.INTER_LINEAR)
    amplitudes = np.abs(np.fft.rfft(polar, axis=1)).mean(axis=0)
    assert np.argmax(amplitudes[1:9]) + 1 == arm_number


def test_bar_points_along_its_angle():
    _, direction = measure_axis_ratio_and_angle(
        make_galaxy(bar_strength=1.0, bar_angle=30.0, bar_length=0.8, position_angle=40.0), above=0.45
    )
    assert direction == pytest.approx(70, abs=6)


def radii_and_angles():
    offsets = np.arange(128) - 63.5
    right, down = np.meshgrid(offsets, offsets)
    return np.hypot(right, down) / 128, np.degrees(np.arctan2(down, right))


def test_disturbed_disc_leans_towards_its_tail_and_the_tail_reaches_far_out():
    settled, disturbed = (
        render_light(make_galaxy(brightness=20.0, disturbance=disturbance, disturbance_angle=120.0))
        for disturbance in (0.0, 0.9)
    )
    radii, angles = radii_and_angles()
    inside, outside = radii < 0.05, (radii > 0.25) & (radii < 0.35)
    toward, away = (np.abs(angles - angle) < 40 for angle in (120, -60))
    assert disturbed[inside & toward].mean() > 1.5 * disturbed[inside & away].mean()
    assert np.quantile(disturbed[outside], 0.95) > 2.5 * np.quantile(settled[outside], 0.95)


def test_companion_stands_where_its_parameters_say():
    alone, together = (
        render_light(make_galaxy(companion_flux=flux, companion_distance=2.0, companion_angle=-60.0, brightness=20.0))
        for flux in (0.0, 0.8)
    )
    row, column = np.unravel_index(np.argmax(together - alone), alone.shape)
    assert (column - 63.5, row - 63.5) == pytest.approx((25.6 * 0.5, -25.6 * 0.866), abs=2.5)


@pytest.mark.parametrize(("artifact", "least", "most"), [("star", 0.6, 1), ("trail", 0, 0.15)])
def test_star_is_round_and_trail_is_straight(artifact, least, most):
    clean, spoiled = (
        render_light(make_galaxy(brightness=2.0, artifact=name, artifact_strength=0.6)) for name in ("none", artifact)
    )
    covariance = np.cov(np.stack(np.nonzero(spoiled - clean > 30)))
    small, large = np.linalg.eigvalsh(covariance)
    assert least <= np.sqrt(small / large) <= most


def test_corrupted_stamp_is_partly_empty():
    stamp = simulation.render_galaxy(make_galaxy(artifact="corrupted", artifact_strength=0.9), 64)
    assert 0.3 < (stamp == 0).all(axis=2).mean() < 0.8


def test_a_galaxy_looks_the_same_at_every_size():
    galaxy = make_galaxy(inclination=60.0, arm_number=2, arm_strength=0.7, brightness=30.0, psf_fwhm=0.03)
    small, large = simulation.render_galaxy(galaxy, 64), simulation.render_galaxy(galaxy, 128)
    large = cv2.resize(large, (64, 64), interpolation=cv2.INTER_AREA)
    assert cv2.absdiff(small, large).mean() < 8
    assert np.corrcoef(small.ravel(), large.ravel())[0, 1] > 0.95


# --- volunteers ---


@pytest.mark.parametrize("name", TREES)
def test_probabilities_sum_to_1_within_each_question(name):
    schema = schemas.get_schema(name)
    probabilities = simulation.answer_probabilities(simulation.draw_galaxies(200, seed=0), schema)
    assert probabilities.shape == (200, len(schema.label_cols))
    assert probabilities.min() >= 0
    for question in schema.questions:
        np.testing.assert_allclose(probabilities[:, question.slice].sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize(
    ("galaxy", "answer"),
    [
        (make_elliptical(bulge_axis_ratio=0.95), "smooth-or-featured_smooth"),
        (make_elliptical(bulge_axis_ratio=0.95), "how-rounded_round"),
        (make_elliptical(bulge_axis_ratio=0.6), "how-rounded_in-between"),
        (make_elliptical(bulge_axis_ratio=0.22), "how-rounded_cigar-shaped"),
        (make_galaxy(inclination=89.0), "disk-edge-on_yes"),
        (make_galaxy(inclination=89.0), "smooth-or-featured_featured-or-disk"),
        (make_galaxy(inclination=20.0), "disk-edge-on_no"),
        (make_galaxy(arm_number=2, arm_strength=0.9, arm_pitch=20.0), "smooth-or-featured_featured-or-disk"),
        (make_galaxy(arm_number=2, arm_strength=0.9, arm_pitch=20.0), "has-spiral-arms_yes"),
        (make_galaxy(arm_number=3, arm_strength=0.9, arm_pitch=20.0), "spiral-arm-count_3"),
        (make_galaxy(arm_number=6, arm_strength=0.9, arm_pitch=30.0), "spiral-arm-count_more-than-4"),
        (make_galaxy(arm_number=2, arm_strength=0.9, arm_pitch=9.0), "spiral-winding_tight"),
        (make_galaxy(arm_number=2, arm_strength=0.9, arm_pitch=36.0), "spiral-winding_loose"),
        (make_galaxy(), "has-spiral-arms_no"),
        (make_galaxy(), "bar_no"),
        (make_galaxy(bar_strength=0.4), "bar_weak"),
        (make_galaxy(bar_strength=0.75), "bar_strong"),
        (make_galaxy(), "bulge-size_none"),
        (make_galaxy(bulge_fraction=0.25), "bulge-size_moderate"),
        (make_elliptical(), "bulge-size_dominant"),
        (make_galaxy(inclination=89.0), "edge-on-bulge_none"),
        (make_galaxy(inclination=89.0, bulge_fraction=0.3), "edge-on-bulge_rounded"),
        (make_galaxy(inclination=89.0, bulge_fraction=0.3, bulge_boxiness=1.0), "edge-on-bulge_boxy"),
        (make_galaxy(), "merging_none"),
        (make_galaxy(disturbance=0.45), "merging_minor-disturbance"),
        (make_galaxy(disturbance=1.0), "merging_major-disturbance"),
        (make_galaxy(companion_flux=0.9, companion_distance=1.0), "merging_merger"),
        (make_galaxy(artifact="star", artifact_strength=1.0), "smooth-or-featured_artifact"),
    ],
)
def test_clear_cases_get_the_expected_answer(galaxy, answer):
    schema = schemas.get_schema("decals")
    probabilities = simulation.answer_probabilities(pd.DataFrame([galaxy]), schema)[0]
    question = schema.get_answer(answer).question
    assert schema.label_cols[question.start_index + np.argmax(probabilities[question.slice])] == answer


def test_faint_spirals_are_called_smooth():
    spiral = {"arm_number": 2, "arm_strength": 0.8, "arm_pitch": 20.0}
    galaxies = pd.DataFrame([make_galaxy(brightness=b, **spiral) for b in (0.5, 2.0, 8.0, 32.0)])
    featured = simulation.answer_probabilities(galaxies, schemas.get_schema("decals"))[:, 1]
    assert np.all(np.diff(featured) > 0)
    assert featured[0] < 0.2
    assert featured[-1] > 0.8


def test_always_asked_questions_have_answers_of_every_probability():
    galaxies = simulation.draw_galaxies(500, seed=0)
    decals = pd.DataFrame(
        simulation.answer_probabilities(galaxies, schemas.get_schema("decals")),
        columns=schemas.get_schema("decals").label_cols,
    )
    odd = simulation.answer_probabilities(galaxies, schemas.get_schema("gz2"))
    odd = odd[:, schemas.get_schema("gz2").get_answer("something-odd_yes").index]
    for column in (decals["smooth-or-featured_smooth"], decals["merging_none"], pd.Series(odd)):
        assert column.quantile(0.04) < 0.1
        assert column.quantile(0.97) > 0.85
        assert column.between(0.2, 0.8).mean() > 0.1
    means = decals[[f"smooth-or-featured_{answer}" for answer in ("smooth", "featured-or-disk", "artifact")]].mean()
    np.testing.assert_allclose(means, [0.47, 0.48, 0.05], atol=0.05)


def test_a_question_that_nobody_can_answer_is_named():
    with pytest.raises(SettingError, match=r"question 'ring' with the answers \['yes', 'no'\].*something-odd"):
        simulation.answer_probabilities(simulation.draw_galaxies(1, seed=0), schemas.get_schema("rings"))
    odd_answers = schemas.Schema({"bar": ["_yes", "_maybe"]}, {"bar": None})
    with pytest.raises(SettingError, match=r"question 'bar'.*maybe"):
        simulation.answer_probabilities(simulation.draw_galaxies(1, seed=0), odd_answers)


# --- votes ---


@pytest.mark.parametrize("name", ["decals", "gz2"])
def test_who_is_asked_gave_the_answer_before(name):
    schema = schemas.get_schema(name)
    tree = campaigns.trees[name]
    probabilities = simulation.answer_probabilities(simulation.draw_galaxies(50, seed=0), schema)
    n_volunteers = np.arange(50)
    votes = pd.DataFrame(simulation.cast_votes(probabilities, schema, n_volunteers, seed=1), columns=schema.label_cols)
    assert (votes.dtypes == np.int64).all()
    assert (votes.to_numpy() >= 0).all()
    for question, answers in tree.question_answer_pairs.items():
        parent = tree.dependencies[question]
        parents = [] if parent is None else [parent] if isinstance(parent, str) else list(parent)
        for galaxy in range(50):
            asked = sum(votes.loc[galaxy, name] for name in parents) if parents else n_volunteers[galaxy]
            assert sum(votes.loc[galaxy, question + answer] for answer in answers) == asked


def test_a_question_after_several_answers_is_asked_to_all_who_gave_one():
    schema = schemas.Schema(
        {"smooth-or-featured": ["_smooth", "_featured-or-disk", "_artifact"], "bar": ["_yes", "_no"]},
        {
            "smooth-or-featured": None,
            "bar": ["smooth-or-featured_smooth", "smooth-or-featured_featured-or-disk"],
        },
    )
    votes = simulation.cast_votes(np.tile([0.5, 0.3, 0.2, 0.4, 0.6], (30, 1)), schema, 40, seed=0)
    np.testing.assert_array_equal(votes[:, 3:].sum(axis=1), votes[:, 0] + votes[:, 1])


def test_votes_follow_the_probabilities():
    schema = schemas.get_schema("decals")
    probabilities = simulation.answer_probabilities(simulation.draw_galaxies(20, seed=2), schema)
    votes = simulation.cast_votes(probabilities, schema, 100_000, seed=2)
    p_values = []
    for question in schema.questions:
        for galaxy in range(len(votes)):
            observed = votes[galaxy, question.slice]
            expected = observed.sum() * probabilities[galaxy, question.slice]
            if (expected > 5).all():
                p_values.append(stats.chisquare(observed, expected, sum_check=False).pvalue)
    assert len(p_values) > 40
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3


def test_votes_follow_from_the_seed_and_not_from_later_galaxies():
    schema = schemas.get_schema("gz2")
    probabilities = simulation.answer_probabilities(simulation.draw_galaxies(40, seed=0), schema)
    votes = simulation.cast_votes(probabilities, schema, 30, seed=5)
    np.testing.assert_array_equal(simulation.cast_votes(probabilities[:15], schema, 30, seed=5), votes[:15])
    assert (simulation.cast_votes(probabilities, schema, 30, seed=6) != votes).any()


def test_probabilities_of_another_tree_are_refused():
    with pytest.raises(SettingError, match=r"shape \(galaxy, 34\).*Got shape \(3, 30\)"):
        simulation.cast_votes(np.ones((3, 30)), schemas.get_schema("decals"), 10, seed=0)


# --- catalog ---


def read_tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_catalog_on_disk_is_the_one_returned_and_its_files_exist(tmp_path):
    schema = schemas.get_schema("decals")
    calls = []
    catalog = simulation.simulate_catalog(
        tmp_path, schema, n_galaxies=12, seed=7, image_size=32, progress=lambda *done: calls.append(done)
    )
    assert calls == [(done, 12) for done in range(1, 13)]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "catalog.csv"), catalog)
    assert catalog["id_str"].tolist()[:2] == ["sim_000000", "sim_000001"]
    assert catalog["ra"].between(0, 360).all()
    assert catalog["dec"].between(-90, 90).all()
    assert catalog[schema.label_cols[:3]].sum(axis=1).between(20, 60).all()
    assert set(read_tree(tmp_path)) == {"catalog.csv", "truth.parquet", *catalog["file_loc"]}
    galaxies = simulation.draw_galaxies(12, seed=7)
    on_disk = np.stack([cv2.imread(str(tmp_path / file_loc))[..., ::-1] for file_loc in catalog["file_loc"]])
    drawn = np.stack([simulation.render_galaxy(row, 32) for row in galaxies.itertuples(index=False)])
    assert cv2.absdiff(on_disk, drawn).mean() < 8
    redness = [(images[..., 0].astype(float) - images[..., 2]).sum(axis=(1, 2)) for images in (on_disk, drawn)]
    assert np.corrcoef(redness)[0, 1] > 0.9
    truth = pd.read_parquet(tmp_path / "truth.parquet")
    assert truth["id_str"].tolist() == catalog["id_str"].tolist()
    true_fractions = truth[[f"{label}_true_fraction" for label in schema.label_cols]].to_numpy()
    np.testing.assert_array_equal(true_fractions, simulation.answer_probabilities(galaxies, schema))
    pd.testing.assert_frame_equal(truth[list(galaxies.columns)], galaxies)


def test_same_seed_writes_the_same_bytes(tmp_path):
    schema = schemas.get_schema("gz2")
    settings = {"n_galaxies": 10, "seed": 3, "image_size": 48}
    simulation.simulate_catalog(tmp_path / "one", schema, **settings)
    simulation.simulate_catalog(tmp_path / "two", schema, **settings)
    assert read_tree(tmp_path / "one") == read_tree(tmp_path / "two")


def test_a_smaller_catalog_is_the_start_of_a_larger_one(tmp_path):
    schema = schemas.get_schema("decals")
    small = simulation.simulate_catalog(tmp_path / "small", schema, n_galaxies=5, image_size=16)
    large = simulation.simulate_catalog(tmp_path / "large", schema, n_galaxies=9, image_size=16)
    pd.testing.assert_frame_equal(large.head(5), small)


def test_impossible_settings_are_refused(tmp_path):
    schema = schemas.get_schema("decals")
    with pytest.raises(SettingError, match=r"'n_galaxies' parameter .* at least 1. Got 0"):
        simulation.draw_galaxies(0, seed=0)
    with pytest.raises(SettingError, match=r"'image_size' parameter .* at least 16. Got 8"):
        simulation.render_galaxy(make_galaxy(), 8)
    with pytest.raises(SettingError, match=r"'n_volunteers' parameter .* Got \(9, 3\)"):
        simulation.simulate_catalog(tmp_path, schema, n_galaxies=2, n_volunteers=(9, 3))
