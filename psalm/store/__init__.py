"""The annotations of a dataset: images, categories, objects, where they come from, and how far the review is.

One SQLite file, ``psalm.db``, in the dataset folder. The annotator and a batch may use it at once.

    from psalm.store import AnnotationStore, ImageState, NewObject, Provenance, content_hash

    with AnnotationStore.open_or_create("dataset", image_root="images", actor="prelabel") as store:
        cell = store.ensure_category("cell", synonyms=["cells"])
        image = store.ensure_image("plate1/a.png", 0, height, width, content_hash("images/plate1/a.png"))
        asked = {"kind": "categories", "names": ["cell"]}
        origin = Provenance("model", "psalm-tiny", weights_hash, prompt=asked, thresholds={"score": 0.5})
        found = [NewObject(cell.id, mask=mask, score=0.9, provenance=origin)]
        # A batch: keeps whatever a person made, touched or reviewed, and sets the state, all at once or not at all.
        done = store.replace_unreviewed(image.id, found)
        if not done.allowed:
            ...  # a person took the image up in the meantime; nothing was changed

    with AnnotationStore.open("dataset", actor="annotator") as store:
        for image in store.images(ImageState.PREDICTED):
            store.set_state(image.id, ImageState.IN_REVIEW)
            for found in store.objects(image.id):  # masks are decoded by found.mask()
                store.update_object(found.id, mask=found.mask() & keep)  # noted as an edit by hand
            with store.transaction():  # several changes as one
                store.add_objects(image.id, [NewObject(cell.id, mask=drawn)])
                store.set_state(image.id, ImageState.VERIFIED)
            for change in store.history(image.id):
                ...  # change.at, .actor, .action, .before, .after

    reader = AnnotationStore.open("dataset", read_only=True)

Axis order is (row, column); a box is (row0, column0, row1, column1) without its last row and column. Errors are
`StoreError` (what was asked for is not there, or the file is not ours), `OutputError` (disk full, may not be written),
`AnnotationError` (a mask, score or name is not usable) and `ImageError` (a path or size is not usable).
"""

from psalm.store.content import content_hash
from psalm.store.records import (
    Change,
    ImageState,
    NewObject,
    Provenance,
    Replacement,
    StoredCategory,
    StoredImage,
    StoredObject,
)
from psalm.store.store import AnnotationStore

__all__ = [
    "AnnotationStore",
    "Change",
    "ImageState",
    "NewObject",
    "Provenance",
    "Replacement",
    "StoredCategory",
    "StoredImage",
    "StoredObject",
    "content_hash",
]
