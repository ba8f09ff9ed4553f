"""The dataset in the viewer: one image at a time with its objects, all changes kept, and the queue of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_psalm.core.annotation_layers import AnnotationLayer
from napari_psalm.core.category_table import CategoryTable
from napari_psalm.core.dataset import Dataset, open_dataset
from napari_psalm.core.proposal_drawing import draw_proposals
from napari_psalm.core.proposals import Proposals, read_proposals
from napari_psalm.core.review_queue import ReviewQueue
from napari_psalm.core.runner import Job, Post, Runner
from napari_psalm.core.stored_objects import Shown, StoredObjects, read_objects
from psalm.errors import AnnotationError, PSALMError
from psalm.store import ImageState, StoredImage

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels
    from napari.utils.events import Event

VERIFIED = "This image is verified: set it back to In review to change it."


class Workspace:
    """Shows the images of a dataset one after the other, and keeps every change of their objects.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    post : callable
        Runs a callable on the thread that may touch layers; see `napari_psalm.core.runner.Post`.
    """

    opened = Signal(object)
    """The `Dataset` that was opened, or None when it was closed."""
    leaving = Signal()
    """The image is about to go."""
    shown = Signal(object, object)
    """The Image layer, and the `AnnotationLayer` with its objects."""
    said = Signal(str, str)
    """Text for the status line, and its level: info, good or problem."""

    def __init__(self, viewer: ViewerModel, post: Post) -> None:
        self.viewer = viewer
        self.runner = Runner(post)
        self.dataset: Dataset | None = None
        self.queue = ReviewQueue()
        self.image: StoredImage | None = None
        self._objects: StoredObjects | None = None
        self._layers: tuple[Image, Labels] | None = None
        self._drawing: Labels | None = None
        self._following = True
        viewer.layers.events.removed.connect(self._on_removed)

    def close(self) -> None:
        """Write what is left and close the dataset; calling it twice does no harm."""
        if self._following:
            self._following = False
            self.viewer.layers.events.removed.disconnect(self._on_removed)
            self.runner.close()
            self.close_dataset()

    @property
    def layer(self) -> AnnotationLayer | None:
        """The objects of the image that is shown."""
        return None if self._objects is None else self._objects.layer

    def open(self, folder: Path | str) -> bool:
        """Open the dataset of a folder and show the image that was looked at last; False when it cannot be."""
        try:
            dataset = open_dataset(folder)
        except PSALMError as error:
            self.said.emit(str(error), "problem")
            return False
        self.close_dataset()
        self.dataset = dataset
        self.queue.show(dataset.store)
        self.opened.emit(dataset)
        current = dataset.current
        if current is not None:
            self.go_to(current)
        return True

    def close_dataset(self) -> None:
        """Let go of the dataset; its layers go too."""
        if self.dataset is None:
            return
        self._let_go()
        dataset, self.dataset, self.image = self.dataset, None, None
        dataset.close()
        self.queue.show(None)
        self.opened.emit(None)

    def go_to(self, image: StoredImage) -> None:
        """Show an image of the dataset; it is read beside the window, and the latest wish wins."""
        dataset = self.dataset
        if dataset is None:
            return
        self.said.emit(f"Opening {image.path} …", "info")
        self.runner.submit(
            work=lambda job: _read(job, dataset, image),
            done=lambda pixels: self._show(dataset, image, pixels),
            failed=lambda error: self._not_shown(image, error),
            told=lambda step: self.said.emit(step, "info"),
        )

    def step(self, by: int) -> None:
        """Show the next image of the queue, or an earlier one."""
        image = self.queue.neighbour(self.image, by)
        if image is None:
            self.said.emit("This is the last image of the list." if by > 0 else "This is the first image.", "info")
        else:
            self.go_to(image)

    def set_state(self, state: ImageState, move: bool = False) -> None:
        """Say how far the image is; with `move`, go on to the next one that needs work."""
        if self.dataset is None or self.image is None:
            self.said.emit("No folder is open: press Open folder….", "problem")
            return
        try:
            self._took(self.dataset.store.set_state(self.image.id, state))
        except PSALMError as error:
            self.said.emit(str(error), "problem")
            return
        self.said.emit(f"{self.image.path}: {state.value.replace('_', ' ')}.", "good")
        if move:
            image = self.queue.next_to_do(self.image)
            if image is None:
                self.said.emit("Done: no image of the list needs work.", "good")
            else:
                self.go_to(image)

    @property
    def proposals(self) -> Proposals | None:
        """What `psalm relabel` proposes for the image and can still be accepted; None for nothing."""
        if self.dataset is None or self.image is None or self._objects is None:
            return None
        try:
            found = read_proposals(self.dataset.store.dataset, self.image)
            found = found and found.still_open(self._objects.layer, self._objects.label_of)
        except PSALMError as error:
            self.said.emit(str(error), "problem")
            return None
        return found if found and found.words else None

    def show_proposals(self, shown: bool) -> None:
        """Draw what is proposed over the objects, or take the drawing away."""
        drawing, self._drawing = self._drawing, None
        if drawing is not None and drawing in self.viewer.layers:
            self.viewer.layers.remove(drawing)
        proposals, objects = (self.proposals, self._objects) if shown else (None, None)
        if proposals is None or objects is None:
            return
        active = self.viewer.layers.selection.active
        try:
            self._drawing = draw_proposals(proposals, objects.layer, objects.label_of)
        except PSALMError as error:
            self.said.emit(str(error), "problem")
            return
        self.viewer.add_layer(self._drawing)
        self.viewer.layers.selection.active = active

    def accept_proposals(self) -> None:
        """Change the objects as `psalm relabel` proposes; one undo takes it back."""
        proposals, objects = self.proposals, self._objects
        if proposals is None or objects is None:
            self.said.emit("Nothing is proposed for this image.", "info")
            return
        try:
            proposals.accept(objects.layer, objects.label_of)
        except PSALMError as error:
            self.said.emit(str(error), "problem")
            return
        if objects.layer.categories is not None:
            objects.layer.recolour(objects.layer.categories)
        self.said.emit(f"Accepted of {proposals.model}: {proposals.words}.", "good")

    def keep_classes(self, table: CategoryTable) -> None:
        """Take an edited class list over into the dataset."""
        if self.dataset is None:
            return
        try:
            self.dataset.keep_categories(table)
        except PSALMError as error:
            self.said.emit(str(error), "problem")

    def _show(self, dataset: Dataset, image: StoredImage, pixels: NDArray[Any]) -> None:
        if dataset is not self.dataset:
            return
        try:
            image = dataset.measured(dataset.store.image(image.id), pixels)
            shown = read_objects(dataset.store, image)
            dataset.remember_current(image)
        except PSALMError as error:
            self.said.emit(str(error), "problem")
            return
        self._let_go()
        layer = self._add_layers(dataset, image, pixels, shown)
        self.image = image
        self._objects = StoredObjects(dataset.store, image, layer, shown, self._category_id)
        self._objects.saved.connect(self._took)
        self._objects.failed.connect(lambda text: self.said.emit(text, "problem"))
        self._objects.outdated.connect(self._reload)
        self._took(image)
        if self._layers is not None:
            self.shown.emit(self._layers[0], layer)
        count = len(shown.facts)
        self.said.emit(f"{image.path}: {count} object{'' if count == 1 else 's'}.", "info")

    def _add_layers(self, dataset: Dataset, image: StoredImage, pixels: NDArray[Any], shown: Shown) -> AnnotationLayer:
        from napari.layers import Image, Labels

        name = Path(image.path).stem + (f" {image.page}" if image.page else "")
        known = {"psalm": {"file_name": image.path, "categories": dataset.categories().to_records()}}
        picture = Image(pixels, name=name, rgb=pixels.ndim == 3 and pixels.shape[-1] in (3, 4), metadata=dict(known))
        labels = Labels(shown.labels, name=f"{name} objects", opacity=0.6, metadata=dict(known))
        layer = AnnotationLayer(labels, shown.facts)
        self.viewer.layers.insert(0, picture)
        self.viewer.layers.insert(1, labels)
        self.viewer.layers.selection.active = labels
        self.viewer.reset_view()
        self._layers = (picture, labels)
        return layer

    def _let_go(self) -> None:
        """Write what is left of the image that is shown, and take its layers away."""
        if self._objects is None:
            return
        self.show_proposals(False)
        objects, self._objects = self._objects, None
        layers, self._layers = self._layers, None
        self.leaving.emit()
        objects.close()
        for layer in layers or ():
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)
        objects.layer.close()

    def _on_removed(self, event: Event) -> None:
        """The user took a layer of the image away: its objects are in the store, and come back with the image."""
        if self._layers is None or event.value not in self._layers:
            return
        is_image = event.value is self._layers[0]
        self._let_go()
        what = "The image was" if is_image else "The layer of objects was"
        self.said.emit(f"{what} closed; its objects are kept. Choose it in the list to go on.", "info")

    def _took(self, image: StoredImage) -> None:
        """What the store knows of the image now."""
        was_verified = self.image is not None and self.image.state is ImageState.VERIFIED
        self.image = image
        if self._objects is not None:
            self._objects.image = image
            self._objects.layer.protection = VERIFIED if image.state is ImageState.VERIFIED else ""
        if was_verified and image.state is ImageState.IN_REVIEW:
            self.said.emit("The image was verified; it was changed, and is in review again.", "info")
        self.queue.update(image)

    def _reload(self) -> None:
        if self.image is not None:
            self.said.emit("Somebody else changed this image: it is shown anew.", "info")
            self.go_to(self.image)

    def _category_id(self, name: str) -> int:
        if self.dataset is None:
            raise AnnotationError("The dataset was closed: open the folder again.")
        layer = self.layer
        table = layer.categories if layer is not None and layer.categories is not None else CategoryTable()
        return self.dataset.keep_category(table, name)

    def _not_shown(self, image: StoredImage, error: Exception) -> None:
        if not isinstance(error, PSALMError):
            error = AnnotationError(f"{image.path} cannot be shown ({type(error).__name__}: {error}).")
        self.said.emit(str(error), "problem")


def _read(job: Job, dataset: Dataset, image: StoredImage) -> NDArray[Any]:
    pixels = np.asarray(dataset.read(image))
    job.step(f"Showing {image.path} …")
    return pixels
