"""What pages fetch beside NiceGUI's own: pictures of a session, and releases' reports."""

import asyncio

from fastapi import APIRouter, Request, Response

from serving.console.door import SESSION
from serving.console.operator import Operator
from serving.console.pages.compare import PICTURES
from serving.console.pictures import Pictures
from serving.console.services import Services
from serving.console.side_by_side import media_type
from serving.console.store_shelf import reports
from serving.console.troubles import told
from serving.errors import RequestError
from serving.store.values import Scope

# Nobody has signed a report: nothing in it runs, and nothing is fetched for it.
_SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def files_router(services: Services, pictures: Pictures) -> APIRouter:
    """Return the calls; the door lets nobody without a session through to them.

    Args:
        services: Knows the model store.
        pictures: Of all sessions.
    """
    router = APIRouter()

    @router.get(f"{PICTURES}/{{name}}")
    async def picture(name: str, request: Request) -> Response:
        image = pictures.find(request.scope[SESSION], name)
        if image is None:
            return Response("no such picture here", 404)
        headers = {"Cache-Control": "no-store"}
        return Response(image, media_type=media_type(image), headers=headers)

    @router.get("/reports/{release}/{kind}")
    async def report_page(release: str, kind: str, request: Request) -> Response:
        try:
            # Pictures of the data are in it.
            await Operator(services, request.scope[SESSION]).look(Scope.OPERATE)
        except RequestError as error:
            return Response(error.message, 403)
        except Exception as error:  # noqa: BLE001 - the store may be away
            return Response(told(error), 503)
        # From what is listed, so that a name leads nowhere else.
        listed = await asyncio.to_thread(reports, services.model_store)
        path = listed.get(release, {}).get(kind)
        if path is None:
            return Response(f"no {kind} lies beside the archive of {release}", 404)
        headers = {"Content-Security-Policy": _SANDBOX, "Cache-Control": "no-store"}
        content = await asyncio.to_thread(path.read_bytes)
        return Response(content, media_type="text/html", headers=headers)

    return router
