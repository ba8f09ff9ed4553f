"""The docked widget that follows objects, in a real window."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from psalm.video import TrackLimits
from psalm.video.tracker import Tracker
from tests.psalm.video.conftest import Clip, GreyFollower

LENGTH = 8


@pytest.fixture
def follow(make_napari_viewer: Any, predictor: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A stack with a disc that moves, painted in its first slice, with both widgets docked."""
    from napari_psalm.widgets.annotator import AnnotatorWidget
    from napari_psalm.widgets.follow_widget import FollowWidget

    clip = Clip([lambda t: (20, 12 + 5 * t)], LENGTH)
    stack = np.stack([clip[i] for i in range(LENGTH)])
    viewer = make_napari_viewer()
    viewer.add_image(stack, name="clip", rgb=True)
    annotator = AnnotatorWidget(viewer, load=lambda _name: predictor)
    viewer.window.add_dock_widget(annotator, name="PSALM")
    labels = viewer.add_labels(np.where(np.arange(LENGTH)[:, None, None] == 0, stack[..., 0], 0).astype(np.uint32))
    annotator.result.layers.choose(labels)
    viewer.dims.set_point(0, 0)
    widget = FollowWidget(viewer, annotator)
    viewer.window.add_dock_widget(widget, name="PSALM follow", area="bottom")
    widget.truth = stack[..., 0]
    widget.wrong = {}

    def make(_job: Any) -> Any:
        return Tracker(None, TrackLimits(overlap=0.1), GreyFollower(widget.wrong))  # type: ignore[arg-type]

    monkeypatch.setattr(widget.following, "_make_tracker", make)
    yield widget
    widget.shut_down()
    annotator.shut_down()


def _press(qtbot: Any, widget: Any, button: Any) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not widget.following.running)


def test_the_button_follows_to_the_end_and_undo_takes_it_back(qtbot: Any, follow: Any) -> None:
    assert (follow.first.value(), follow.last.value()) == (0, LENGTH - 1)
    labels = follow.annotator.result.layers.layer
    _press(qtbot, follow, follow.on)
    assert (labels.data == follow.truth).all()
    assert "followed through 7 slices" in follow.status.text()
    assert follow.annotator.objects.table.objects.ids == [1]
    _press(qtbot, follow, follow.undo)
    assert not labels.data[1:].any()
    assert follow.viewer.dims.current_step[0] == 0
    assert "Taken back" in follow.status.text()
    assert follow.following.trusts is None


def test_undoing_what_went_on_leaves_what_came_before(qtbot: Any, follow: Any) -> None:
    follow.wrong[4] = np.pad(np.ones((8, 4), bool), ((50, 2), (4, 72)))
    _press(qtbot, follow, follow.on)
    _press(qtbot, follow, follow.on)
    assert 5 in follow.following.trusts.slices
    follow.annotator.result.layers.layer.undo()  # as napari's Ctrl+Z does
    assert sorted(follow.following.trusts.slices) == [0, 1, 2, 3, 4]
    assert follow.viewer.dims.current_step[0] == 4
    assert follow.on.text() == "Follow on ▶"


def test_the_range_limits_both_ways(qtbot: Any, follow: Any) -> None:
    follow.last.setValue(3)
    _press(qtbot, follow, follow.on)
    labels = follow.annotator.result.layers.layer
    assert [bool(plane.any()) for plane in labels.data] == [i <= 3 for i in range(LENGTH)]
    follow.viewer.dims.set_point(0, 2)
    follow.first.setValue(2)
    _press(qtbot, follow, follow.back)
    assert "widen it" in follow.status.text()


def test_the_brake_jumps_to_the_doubtful_slice_and_offers_to_continue(qtbot: Any, follow: Any) -> None:
    follow.wrong[4] = np.pad(np.ones((8, 4), bool), ((50, 2), (4, 72)))
    follow.annotator.result.layers.layer.selected_label = 9
    _press(qtbot, follow, follow.on)
    assert follow.viewer.dims.current_step[0] == 4
    assert follow.on.text() == "Continue ▶"
    assert follow.status.level == "problem"
    follow.wrong.clear()
    labels = follow.annotator.result.layers.layer
    assert (labels.selected_label, follow.annotator.objects.table.ids) == (1, [1])
    labels.data_setitem(tuple(axis.ravel() for axis in np.mgrid[4:5, 0:60, 0:80]), follow.truth[4].ravel())
    _press(qtbot, follow, follow.on)
    assert follow.on.text() == "Follow on ▶"
    assert (labels.data == follow.truth).all()


def test_a_click_on_the_strip_goes_to_its_slice(qtbot: Any, follow: Any) -> None:
    _press(qtbot, follow, follow.on)
    x = int(follow.strip.width() * 2.5 / LENGTH)
    qtbot.mouseClick(follow.strip, Qt.MouseButton.LeftButton, pos=QPoint(x, 5))
    assert follow.viewer.dims.current_step[0] == 2
    assert follow.strip.slice_at(x) == 2
    assert follow.strip.slice_at(-1) is None


def test_only_the_selected_object_is_followed(qtbot: Any, follow: Any) -> None:
    labels = follow.annotator.result.layers.layer
    labels.selected_label = 7  # no object
    follow.which.choose(1)
    _press(qtbot, follow, follow.on)
    assert not labels.data[1:].any()
    assert "None" in follow.status.text() or "No object" in follow.status.text()
    follow.annotator.objects.table.choose([1])
    _press(qtbot, follow, follow.on)
    assert labels.data[1:].any()


def test_a_single_picture_and_closing_do_no_harm(qtbot: Any, follow: Any) -> None:
    viewer = follow.viewer
    viewer.layers.clear()
    _press(qtbot, follow, follow.on)
    assert "There is no image" in follow.status.text()
    viewer.add_image(np.zeros((20, 20)), name="flat")
    _press(qtbot, follow, follow.on)
    assert follow.status.level == "problem"
    viewer.window.remove_dock_widget(follow)
    viewer.add_image(np.zeros((4, 20, 20)), name="later")
    viewer.dims.set_point(0, 2)


def test_tiles_are_offered_when_mask_tokens_run_out(qtbot: Any, annotator: Any, predictor: Any) -> None:
    annotator.preview.first.setChecked(True)
    annotator.question.classes.editor.setPlainText("square")
    predictor.tokens = 4
    annotator.run.segment.click()
    qtbot.waitUntil(lambda: annotator.session.preview is not None)
    assert "4 of 4 mask tokens used" in annotator.run.status.text()
    assert annotator.run.tiles.isVisibleTo(annotator)
    annotator.session.reject()
    assert not annotator.run.tiles.isVisibleTo(annotator)


def test_find_like_selected_needs_a_selected_object(qtbot: Any, annotator: Any) -> None:
    annotator.question.mode.choose(3)
    qtbot.mouseClick(annotator.question.examples.add, Qt.MouseButton.LeftButton)
    assert "Choose an object first" in annotator.run.status.text()
