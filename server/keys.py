"""The objects that routes find in the application; `app.py` puts them there."""

from __future__ import annotations

from aiohttp import web

from kernsym.cache import Store
from kernsym.server.bring.plan import Plans
from kernsym.server.bring.watching import Watch
from kernsym.server.config import ServerConfig
from kernsym.server.jobs import JobBoard
from kernsym.server.lookup.lookup import Lookup
from kernsym.server.lookup.misses import Misses
from kernsym.server.prepare.background import Preparer
from kernsym.server.process.reload import Reload
from kernsym.server.served import FileAnswers
from kernsym.server.served.artefacts import Artefacts
from kernsym.server.symbols import Symbols
from kernsym.server.upkeep import Upkeep
from kernsym.server.watch.metrics import Metrics

CONFIG = web.AppKey("config", ServerConfig)
PREPARER = web.AppKey("preparer", Preparer)
STORE = web.AppKey("store", Store)
RELOAD = web.AppKey("reload", Reload)
METRICS = web.AppKey("metrics", Metrics)
JOBS = web.AppKey("jobs", JobBoard)
SYMBOLS = web.AppKey("symbols", Symbols)
ARTEFACTS = web.AppKey("artefacts", Artefacts)
MISSES = web.AppKey("misses", Misses)
ANSWERS = web.AppKey("answers", FileAnswers)
PLANS = web.AppKey("plans", Plans)
WATCH = web.AppKey("watch", Watch)
LOOKUP = web.AppKey("lookup", Lookup)
UPKEEP = web.AppKey("upkeep", Upkeep)
