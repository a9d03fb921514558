"""The page that shows one frame as two releases see it, side by side."""

import asyncio

from nicegui import events, ui

from serving.console.fragments import fragment
from serving.console.harvested import image_of, newest
from serving.console.pages.visit import Visit
from serving.console.pictures import Pictures
from serving.console.side_by_side import Asking, media_type
from serving.console.troubles import told
from serving.controlplane.releases import LOADED
from serving.errors import BadImage
from serving.store.values import Release, ReleaseKey, Scope

PICTURES = "/pictures"
"""Where the page's pictures are, below the console's root."""


class ComparePage:
    """Draws the page.

    Args:
        asking: Asks the releases; one for all pages.
        pictures: Where frames lie while somebody looks at them.
    """

    def __init__(self, asking: Asking, pictures: Pictures) -> None:
        self._asking = asking
        self._pictures = pictures

    def __call__(self, visit: Visit) -> None:
        """Draw it for somebody."""
        comparison = _Comparison(self._asking, self._pictures, visit)
        visit.keep(comparison.read)


class _Comparison:
    """One person's frame and choice of releases."""

    def __init__(self, asking: Asking, pictures: Pictures, visit: Visit) -> None:
        self._asking = asking
        self._pictures = pictures
        self._operator = visit.operator
        self._root = visit.root
        self._name: str | None = None
        self._asked = 0
        self._is_listed = False
        self._nothing = ui.html("", sanitize=False)
        self._card = ui.element("section").classes("card compare").props('aria-label="Compare"')
        with self._card:
            ui.html(fragment("compare_head"), sanitize=False)
            with ui.element("div").classes("choices"):
                self._first, self._second = self._choice("Left"), self._choice("Right")
                self._upload = self._drop_zone()
            self._harvested = ui.select(
                {},
                label="or take a frame on which the arms disagreed",
                on_change=self._taken,
            )
            self._harvested.props("outlined dense").classes("filter")
            self._error = ui.html("", sanitize=False).props("role=alert")
            self._busy = ui.html("", sanitize=False).props("role=status")
            self._shown = ui.html("", sanitize=False).props("aria-live=polite")
        self._card.set_visibility(False)
        self._harvested.set_visibility(False)
        ui.context.client.on_delete(self._forget)

    async def read(self) -> None:
        """Offer the releases that can be asked by now."""
        seen = await self._operator.services.watch.now()
        loaded = [one for one in seen.desired.releases if one.state in LOADED]
        self._nothing.set_content("" if loaded else fragment("nothing_loaded"))
        self._card.set_visibility(bool(loaded))
        names = [str(one.key) for one in loaded]
        usual = _usual(loaded)
        for field, first in zip((self._first, self._second), usual, strict=False):
            if field.options != names:
                field.set_options(names, value=field.value if field.value in names else first)
        await self._list_harvested()

    async def _list_harvested(self) -> None:
        # What cameras saw is not for every camera's key.
        if self._is_listed or not self._operator.may(Scope.OPERATE):
            return
        folder = self._operator.services.harvest_dir
        found = await asyncio.to_thread(newest, folder)
        self._is_listed = True
        self._harvested.set_options(found)
        self._harvested.set_visibility(bool(found))

    def _choice(self, label: str) -> ui.select:
        return ui.select([], label=label, on_change=self._compare).props("outlined dense")

    def _drop_zone(self) -> ui.upload:
        upload = ui.upload(
            auto_upload=True,
            max_file_size=self._operator.services.image_limit_bytes,
            on_upload=self._uploaded,
            on_rejected=self._rejected,
        ).classes("drop")
        upload.props('accept="image/jpeg,image/png,image/webp" flat')
        upload.on("failed", self._refused)
        with upload.add_slot("list"):
            # In the browser: it opens its files only for somebody's own click.
            ui.button("Choose an image…").props("outline no-caps").on(
                "click", js_handler=f"() => getElement({upload.id}).$refs.qRef.pickFiles()"
            )
            ui.label("or drop one here").classes("meta")
        return upload

    def _forget(self) -> None:
        if self._name is not None:
            self._pictures.drop(self._name)

    def _rejected(self) -> None:
        limit_mb = self._operator.services.image_limit_bytes / 1e6
        self._fail(f"image: take one JPEG, PNG or WebP file of at most {limit_mb:.1f} MB")

    def _refused(self) -> None:
        self._upload.reset()
        self._fail("image: the server did not take it; try again, or sign in anew")

    async def _uploaded(self, event: events.UploadEventArguments) -> None:
        self._upload.reset()
        await self._take(await event.file.read())

    async def _taken(self, event: events.ValueChangeEventArguments[str]) -> None:
        if not event.value:
            return
        try:
            await self._operator.look(Scope.OPERATE)
            folder = self._operator.services.harvest_dir
            image = await asyncio.to_thread(image_of, folder, event.value)
        except Exception as error:  # noqa: BLE001 - whatever it is, the operator is told
            self._fail(told(error))
            return
        await self._take(image)

    async def _take(self, image: bytes) -> None:
        try:
            media_type(image)
        except BadImage as error:
            self._fail(error.message)
            return
        self._forget()
        self._name = self._pictures.keep(self._operator.session, image)
        await self._compare()

    async def _compare(self) -> None:
        name = self._name
        if name is None or not (self._first.value and self._second.value):
            return
        self._asked = asked = self._asked + 1
        first, second = (ReleaseKey.parse(str(one.value)) for one in (self._first, self._second))
        self._error.set_content("")
        self._shown.set_content("")
        self._busy.set_content(fragment("asking", first=first, second=second))
        try:
            await self._operator.look()
            found = await self._asking.both(self._image(name), first, second)
        except Exception as error:  # noqa: BLE001 - whatever it is, the operator is told
            if asked == self._asked:
                self._fail(told(error))
            return
        # Who chose anew meanwhile looks at the newer frame.
        if asked == self._asked:
            self._busy.set_content("")
            picture = f"{self._root}{PICTURES}/{name}"
            self._shown.set_content(fragment("side_by_side", found=found, picture=picture))

    def _image(self, name: str) -> bytes:
        """Return the frame; it is kept in one place, and that has its bound.

        Raises:
            BadImage: It had to make place for others.
        """
        image = self._pictures.find(self._operator.session, name)
        if image is None:
            raise BadImage("image", "image: it was put away meanwhile; choose it again")
        return image

    def _fail(self, message: str) -> None:
        self._busy.set_content("")
        self._shown.set_content("")
        self._error.set_content(fragment("error", message=message))


def _usual(loaded: list[Release]) -> tuple[str, ...]:
    """Return the teacher and the newest student, as far as there are any."""
    teachers = [str(one.key) for one in loaded if one.role == "teacher"]
    students = [str(one.key) for one in loaded if one.role == "student"]
    everyone = teachers + students
    return (everyone[0], (students or everyone)[-1]) if everyone else ()
