"""The page that shows one frame as two releases see it, side by side."""

import asyncio

from nicegui import events, ui

from serving.console.fragments import fragment
from serving.console.harvested import image_of, newest
from serving.console.operator import Operator
from serving.console.pages.action import told
from serving.console.pictures import Pictures
from serving.console.side_by_side import Asking, SideBySide, media_type
from serving.controlplane.releases import LOADED
from serving.errors import UnderstudyError
from serving.store.values import Release, ReleaseKey, Scope

PICTURES = "/pictures"
"""Where the page's pictures are, below the console's root."""


class ComparePage:
    """Draws the page.

    Args:
        asking: Asks the releases; one for all pages.
        pictures: Where frames lie until the browser has fetched them.
    """

    def __init__(self, asking: Asking, pictures: Pictures) -> None:
        self._asking = asking
        self._pictures = pictures

    async def __call__(self, operator: Operator, root: str) -> None:
        """Draw it for somebody."""
        loaded = [one for one in await operator.services.store.releases() if one.state in LOADED]
        if not loaded:
            ui.html(fragment("nothing_loaded"), sanitize=False)
            return
        harvested: dict[str, str] = {}
        if operator.may(Scope.OPERATE):
            # What cameras saw is not for every camera's key.
            folder = operator.services.harvest_dir
            harvested = await asyncio.to_thread(newest, folder)
        _Comparison(
            self._asking, self._pictures, operator, root, loaded=loaded, harvested=harvested
        )


class _Comparison:
    """One person's frame and choice of releases."""

    def __init__(
        self,
        asking: Asking,
        pictures: Pictures,
        operator: Operator,
        root: str,
        *,
        loaded: list[Release],
        harvested: dict[str, str],
    ) -> None:
        self._asking = asking
        self._pictures = pictures
        self._operator = operator
        self._root = root
        self._image: bytes | None = None
        self._name: str | None = None
        first, second = _usual(loaded)
        names = [str(one.key) for one in loaded]
        with ui.element("section").classes("card compare").props('aria-label="Compare"'):
            ui.html(fragment("compare_head"), sanitize=False)
            with ui.element("div").classes("choices"):
                self._first = self._choice("Left", names, first)
                self._second = self._choice("Right", names, second)
                self._upload = self._drop_zone()
            if harvested:
                ui.select(
                    harvested,
                    label="or take a frame on which the arms disagreed",
                    on_change=self._taken,
                ).props("outlined dense").classes("filter")
            self._error = ui.html("", sanitize=False).props("role=alert")
            self._shown = ui.html("", sanitize=False).props("aria-live=polite")
        ui.context.client.on_delete(self._forget)

    def _choice(self, label: str, names: list[str], value: str) -> ui.select:
        return ui.select(names, value=value, label=label, on_change=self._compare).props(
            "outlined dense"
        )

    def _drop_zone(self) -> ui.upload:
        upload = ui.upload(
            auto_upload=True,
            max_file_size=self._operator.services.image_limit_bytes,
            on_upload=self._uploaded,
            on_rejected=self._rejected,
        ).classes("drop")
        upload.props('accept="image/jpeg,image/png,image/webp" flat')
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

    async def _uploaded(self, event: events.UploadEventArguments) -> None:
        self._upload.reset()
        await self._take(await event.file.read())

    async def _taken(self, event: events.ValueChangeEventArguments[str]) -> None:
        try:
            await self._operator.look(Scope.OPERATE)
            folder = self._operator.services.harvest_dir
            image = await asyncio.to_thread(image_of, folder, event.value)
        except UnderstudyError as error:
            self._fail(error.message)
            return
        await self._take(image)

    async def _take(self, image: bytes) -> None:
        try:
            media_type(image)
        except UnderstudyError as error:
            self._fail(error.message)
            return
        self._forget()
        self._image = image
        self._name = self._pictures.keep(self._operator.session, image)
        await self._compare()

    async def _compare(self) -> None:
        if self._image is None or self._name is None:
            return
        self._error.set_content("")
        first, second = (ReleaseKey.parse(str(one.value)) for one in (self._first, self._second))
        try:
            await self._operator.look()
            found = await self._asking.both(self._image, first, second)
        except Exception as error:  # noqa: BLE001 - whatever it is, the operator is told
            self._fail(told(error))
            return
        self._show(found, self._name)

    def _show(self, found: SideBySide, name: str) -> None:
        self._shown.set_content(
            fragment("side_by_side", found=found, picture=f"{self._root}{PICTURES}/{name}")
        )

    def _fail(self, message: str) -> None:
        self._shown.set_content("")
        self._error.set_content(fragment("error", message=message))


def _usual(loaded: list[Release]) -> tuple[str, str]:
    """Return the teacher and the newest student, as far as there are any."""
    teachers = [str(one.key) for one in loaded if one.role == "teacher"]
    students = [str(one.key) for one in loaded if one.role == "student"]
    everyone = teachers + students
    return everyone[0], (students or everyone)[-1]
