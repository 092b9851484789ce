"""One run of the client: whom to ask, as whom, and where to print."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from .address import is_here, shown
from .asking import Asker
from .catalogue import Catalogue, Result, Tool
from .credentials import wanted_login
from .failures import Failure, LoginWanted, NoKeyring, ToolFailure
from .login import Login
from .output import Output
from .readable import one_line
from .vault import Vault

if TYPE_CHECKING:
    from .api import Endpoint

T = TypeVar("T")


class Session:
    """One run of the client: whom to ask, where to print, what is known of the server.

    Attributes:
        url: The server's address as it may be shown.
        whole_url: The address as it is asked; a query in it may contain a key.
        timeout: Seconds to wait for an answer.
        known: What the server offered when it was last asked.
        problem: Why it could not be asked last time, in one word; empty when it could.
        admitted: The login for every request to a server that requires one. None at others,
            and until such a server was first asked.
    """

    def __init__(
        self, url: str, timeout: float, output: Output, asker: Asker, vault: Vault
    ) -> None:
        self.url = shown(url)
        self.whole_url = url
        self.output = output
        self.asker = asker
        self.vault = vault
        self.known: Catalogue | None = None
        self.problem = ""
        self.timeout = timeout
        self.admitted: Login | None = None
        self._endpoint: Endpoint | None = None
        self._warned = False
        self._stored: Login | None = None
        self._looked = False
        self._acting: Login | None = None
        self._worked: dict[str, Login] = {}

    @property
    def place(self) -> str:
        """Host and port of the server."""
        return urlsplit(self.url).netloc

    def look(self, email: str | None = None) -> Catalogue:
        """Ask the server what it offers.

        Args:
            email: Whose login to send to a server that requires one; None: the stored
                one, or one that is asked for.

        Raises:
            Failure: The server could not be asked.
        """

        def ask(login: Login | None) -> Catalogue:
            with self.output.waiting(f"Asking {self.place} ..."):
                return self._server().catalogue(login)

        self.known = self._let_in(ask, email)
        server = self.known.server
        self.output.detail(one_line(f"{server}, protocol {server.protocol}, at {self.url}"))
        return self.known

    def stored_login(self) -> Login | None:
        """Return the login stored for this server; None without one, or without a keyring."""
        if not self._looked:
            try:
                with self.output.waiting("Asking the keyring ..."):
                    self.remember(self.vault.find())
            except NoKeyring as failure:
                self.output.detail(failure.message)
                self.remember(None)
        return self._stored

    def remember(self, login: Login | None) -> None:
        """Take a login as the one that is stored."""
        self._stored, self._looked = login, True

    def login_for(self, email: str | None) -> Login | None:
        """Return the login for an account that needs no question, or for no matter which.

        The stored one goes before those that worked in this run.
        """
        sources = (
            lambda: [self._acting],
            lambda: [self.stored_login()],  # later, since a keyring is slow
            lambda: [self.admitted],
            lambda: reversed(self._worked.values()),
        )
        for source in sources:
            for login in source():
                if login is not None and email in {None, login.email}:
                    return login
        return None

    @contextmanager
    def acting_as(self, login: Login | None) -> Iterator[None]:
        """Use a login for all calls meanwhile that name no other account."""
        before, self._acting = self._acting, login
        try:
            yield
        finally:
            self._acting = before

    def worked(self, login: Login | None) -> None:
        """Remember a login that the server took, as long as this run lasts."""
        if login is not None:
            self._worked.pop(login.email, None)
            self._worked[login.email] = login

    def forget(self, login: Login | None) -> None:
        """Do not offer a login again that worked once."""
        if login is not None and self._worked.get(login.email) == login:
            del self._worked[login.email]
        if login == self.admitted:
            self.admitted = None

    def forget_all(self) -> None:
        """Do not offer any login again that worked once."""
        self._worked.clear()
        self.admitted = None

    def ask(
        self,
        tool: Tool,
        arguments: Mapping[str, Any],
        login: Login | None = None,
        *,
        repeat: bool = True,
    ) -> Result:
        """Call a tool, with a login in the header if one is given; `repeat` as in `Endpoint.call`.

        Raises:
            LoginWanted: The server wants a login, and there is nobody to ask for one.
            ToolFailure: The tool answered with an error.
            Failure: The server could not be asked.
        """
        if login or any(item.secret and item.name in arguments for item in tool.parameters):
            self._warn_in_the_clear()

        def ask(admitted: Login | None) -> Result:
            with self.output.waiting(f"{tool.name}: waiting for {self.place} ..."):
                return self._server().call(
                    tool.name,
                    arguments,
                    login or admitted,
                    repeat=repeat,
                    always=admitted is not None,
                )

        result = self._let_in(ask, None, login)
        if result.is_error:
            raise ToolFailure.from_answer(result.text, result.meta)
        return result

    @property
    def in_the_clear(self) -> bool:
        """Whether others may read what goes to the server."""
        return urlsplit(self.whole_url).scheme == "http" and not is_here(self.whole_url)

    def _let_in(
        self, ask: Callable[[Login | None], T], email: str | None, login: Login | None = None
    ) -> T:
        """Ask the server, with a login where it requires one; note the outcome."""
        try:
            try:
                found = ask(self.admitted)
            except LoginWanted as wanted:
                if self.admitted is not None:
                    raise
                # Refused before anything was done, so that it may be sent once more.
                self.admitted = wanted_login(self, wanted, email, login)
                self.output.detail("The server requires a login for every request: with one.")
                found = ask(self.admitted)
        except Failure as failure:
            self.problem = "" if isinstance(failure, ToolFailure) else failure.kind
            raise
        self.problem = ""
        return found

    def _warn_in_the_clear(self) -> None:
        if self.in_the_clear and not self._warned:
            self._warned = True
            self.output.note(
                f"Warning: http:// sends the password unencrypted to {self.place}; "
                "use https:// outside a network you trust."
            )

    def _server(self) -> Endpoint:
        if self._endpoint is None:
            from .api import Endpoint  # noqa: PLC0415 - loads the HTTP client: slow

            self._endpoint = Endpoint(self.whole_url, timeout=self.timeout, tell=self.output.detail)
        return self._endpoint
