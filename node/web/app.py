"""The web application: routes of all parts in one Starlette app, behind what guards them."""

from __future__ import annotations

from asyncio import Task, create_task, gather
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from node.web import api, counter, live, pages, pay, qr, statement
from node.web.context import Context
from node.web.errors import HANDLERS
from node.web.limits import Limits
from node.web.packing import Packing
from node.web.rendering import STATIC
from node.web.security import Guard
from node.web.shared import make_shared
from node.web.warming import keep_warm


def create_app(context: Context, on_death: Callable[[BaseException], None]) -> Starlette:
    """Return the application over a context; its lifespan listens to the node and closes the context.

    `on_death` is told what a task in the background died of: a bug, so that the page is to end.
    """
    shared = make_shared(context)

    def ended(task: Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            on_death(error)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        with closing(context.books):
            tasks = [create_task(context.events.run()), create_task(keep_warm(context, shared))]
            if context.index is not None:
                tasks.append(create_task(context.index.run(context.events)))
            for task in tasks:
                task.add_done_callback(ended)
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await gather(*tasks, return_exceptions=True)
                await context.socket.close()

    routes = (
        *pages.ROUTES,
        *pay.ROUTES,
        *counter.ROUTES,
        *qr.ROUTES,
        *statement.ROUTES,
        *api.ROUTES,
        Route("/events", live.events),
        Mount("/static", StaticFiles(directory=STATIC)),
    )
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(live.Seen, events=context.events),
            Middleware(Guard, hosts=context.hosts),
            Middleware(Limits),
            Middleware(Packing),
        ],
        exception_handlers=HANDLERS,
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a redirect would repeat the Host header to whoever sent it
    app.state.context = context
    app.state.shared = shared
    return app
